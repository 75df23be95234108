"""Text into HTML. Everything that a model, a file or a user wrote passes through `text` here and nowhere else."""

import unicodedata
from collections.abc import Iterable
from html import escape

_LAYOUT = "\n\t"
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that draw nothing or redirect what is drawn: controls, format marks, lone surrogates, ..."""


def text(value: object) -> str:
    """HTML that shows exactly these characters; those that cannot be seen stand as their numbers.

    Line ends and tabs stay. Directional marks are shown, not obeyed: they can make text read as what it is not.

    >>> text("<b>" + chr(27))
    '&lt;b&gt;<span class="unseen">U+001B</span>'
    """
    return "".join(_shown(character) for character in str(value))


def _shown(character: str) -> str:
    if character not in _LAYOUT and unicodedata.category(character) in _UNSEEN:
        return f'<span class="unseen">U+{ord(character):04X}</span>'
    return escape(character)


def element(name: str, *content: str, **attributes: str) -> str:
    """`content` is HTML already, attribute values are not; a trailing underscore in an attribute's name is dropped.

    >>> element("p", text("a < b"), class_="note", aria_label='"x"')
    '<p class="note" aria-label="&quot;x&quot;">a &lt; b</p>'
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(content)}</{name}>"


def code_marked(value: str) -> str:
    """`text`, with what stands between backticks as code."""
    parts = value.split("`")
    if len(parts) % 2 == 0:
        return text(value)
    return "".join(element("code", text(part)) if index % 2 else text(part) for index, part in enumerate(parts))


def preformatted(value: str, label: str) -> str:
    """A scrolling block that the keyboard reaches too."""
    # HTML drops one line end right after <pre>; this one is there to be dropped, so that the text keeps its own.
    return element("pre", "\n", text(value), tabindex="0", role="region", aria_label=label)


def lines(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)
