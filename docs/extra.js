// Wide tables scroll; so that the keyboard can scroll them, they can have the focus.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
});
