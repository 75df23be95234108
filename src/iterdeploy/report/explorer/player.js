// A plan played: the stage, the controls, the caption that is read aloud, and the list of steps. All show one position.

const PICTURES = [blocksPicture, sokobanPicture];
const TALLEST = 400; // pixels of a picture
const LARGEST = 1.35; // times its natural size
const SMALLEST = 0.5;
const SPEEDS = { "½×": 0.5, "1×": 1, "2×": 2, "4×": 4 };

/** { element, plan }: the player and the list of steps, to be put where the page wants them. */
function makePlayer(film, trace) {
  const facts = factsPicture(film);
  const picture = PICTURES.map((build) => build(film)).find(Boolean) ?? facts;
  const failing = film.failed ?? trace.failed;
  const caption = make("p", { class: "caption", role: "status" });
  const slider = make("input", {
    type: "range",
    min: 0,
    max: film.last,
    value: 0,
    step: 1,
    "aria-label": "Step",
    oninput: () => jump(Number(slider.value)),
  });
  const speed = make(
    "select",
    { "aria-label": "Speed" },
    Object.entries(SPEEDS).map(([name, value]) => make("option", { value, selected: value === 1 && "" }, name)),
  );
  const buttons = {
    first: control("First", "M3 2v12M13 2L6 8l7 6z", () => jump(0)),
    back: control("Back", "M12 2L4 8l8 6z", () => jump(position - 1)),
    play: control("Play", "M3 1.5L14 8 3 14.5z", () => (timer ? pause() : play())),
    forward: control("Forward", "M4 2l8 6-8 6z", () => jump(position + 1, true)),
    last: control("Last", "M13 2v12M3 2l7 6-7 6z", () => jump(film.last)),
  };
  const controls = make(
    "div",
    { class: "controls", role: "group", "aria-label": "Play the plan" },
    Object.values(buttons),
    slider,
    speed,
  );
  const plan = stepList(film, failing, trace, (number) => jump(number, number === position + 1));
  const stage = make("div", { class: "stage" });
  const views = picture === facts ? null : viewSwitch();
  const element = make(
    "div",
    { class: "player", "data-position": 0 },
    views,
    stage,
    film.last > 0 && controls,
    caption,
    remark(film, picture === facts, trace),
  );
  let position = 0;
  let timer = null;
  let current = picture;

  function jump(to, moving = false) {
    pause();
    go(to, moving);
  }

  function go(to, moving) {
    position = Math.max(0, Math.min(film.last, to));
    element.dataset.position = position;
    current.show(position, moving && position <= film.steps.length && !still.matches);
    slider.value = position;
    slider.setAttribute("aria-valuetext", caption_(position));
    caption.replaceChildren(...shown(caption_(position)));
    caption.classList.toggle("failing", position > film.steps.length);
    plan.mark(position);
    disable(buttons.first, position === 0);
    disable(buttons.back, position === 0);
    disable(buttons.forward, position === film.last);
    disable(buttons.last, position === film.last);
  }

  const caption_ = (at) => captionAt(film, trace, at);

  function play() {
    if (position === film.last) go(0, false);
    name(buttons.play, "Pause", "M4 2v12M12 2v12");
    tick();
  }

  function tick() {
    go(position + 1, true);
    const wait = current.pace / Number(speed.value);
    timer = position < film.last ? setTimeout(() => (element.isConnected ? tick() : pause()), wait) : null;
    if (!timer) pause();
  }

  function pause() {
    clearTimeout(timer);
    timer = null;
    name(buttons.play, "Play", "M3 1.5L14 8 3 14.5z");
  }

  function viewSwitch() {
    const pick = (chosen) => () => {
      current = chosen;
      for (const [view, button] of both) button.setAttribute("aria-pressed", view === chosen);
      setStage();
    };
    const both = [
      [picture, "Picture"],
      [facts, "Facts"],
    ].map(([view, title]) => [
      view,
      make("button", { type: "button", "aria-pressed": view === picture, onclick: pick(view) }, title),
    ]);
    return make(
      "div",
      { class: "views", role: "group", "aria-label": "Show as" },
      both.map(([, button]) => button),
    );
  }

  function setStage() {
    stage.replaceChildren(framed(current, 1, current.goal && "Now"));
    if (current.goal) {
      const goal = framed(current.goal, 0.72, "Goal");
      const { width } = current.goal.size;
      goal.style.maxWidth = `max(${(100 * width) / current.size.width}%, ${Math.ceil(width * SMALLEST)}px)`;
      stage.append(goal);
    }
    go(position, false);
  }

  setStage();
  return { element, plan: plan.element };
}

function framed({ element, size }, share, title) {
  if (size) {
    const scale = share * Math.min(LARGEST, TALLEST / size.height);
    element.style.width = `${Math.round(size.width * scale)}px`;
    element.style.minWidth = `${Math.round(size.width * SMALLEST)}px`;
  }
  const wide = size?.width * SMALLEST > 280; // then it scrolls on a telephone, which the keyboard must reach
  return make(
    "div",
    { class: "frame", ...(wide && { tabindex: 0, role: "group", "aria-label": title ?? "Picture" }) },
    title && make("p", { class: "frame-title" }, title),
    element,
  );
}

function captionAt(film, trace, position) {
  const of = `of ${film.plan.length}`;
  if (position > film.steps.length) {
    return `Step ${position} ${of} cannot be done: ${stepText(film.plan[position - 1])}. ${missing(film.unmet)}`.trim();
  }
  film.seek(position);
  const goal = film.goal.length ? `Goal facts that hold: ${film.reached()} of ${film.goal.length}.` : "";
  if (position === 0) return `The start. ${goal}`;
  const step = `Step ${position} ${of}: ${stepText(film.plan[position - 1])}.`;
  if (position < film.plan.length) return `${step} ${goal}`;
  if (trace.status === "valid") return `${step} The goal is reached.`;
  return `${step} The plan ends and the goal is not reached. ${missing(film.unmet)}`.trim();
}

const missing = (unmet) => (unmet.length ? `${unmet.join(", ")} ${unmet.length === 1 ? "does" : "do"} not hold.` : "");

/** What the reader should know of what is played. */
function remark(film, onlyFacts, trace) {
  const said = [];
  if (!film.plan.length) said.push("There is no plan to play: this is the task's start.");
  if (film.notPlayed) said.push(`The first ${film.steps.length} of ${film.plan.length} steps are played.`);
  if (onlyFacts) said.push("There is no picture of this kind of task; these are its facts.");
  if (trace.said) said.push("The model was given random names; here they are the true ones.");
  return said.length ? make("p", { class: "note" }, said.join(" ")) : null;
}

function control(title, path, action) {
  const button = make("button", { type: "button", class: "control", onclick: action });
  name(button, title, path);
  return button;
}

function name(button, title, path) {
  if (button.title === title) return;
  button.title = title;
  button.setAttribute("aria-label", title);
  button.replaceChildren(draw("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, draw("path", { d: path })));
}

/** Keeps the focus, which a disabled button would lose. */
const disable = (button, off) => button.setAttribute("aria-disabled", off);

/** The steps as a list with one stop for the tabulator key; arrow keys go from step to step. */
function stepList(film, failing, trace, jump) {
  const items = film.plan.map((words, index) => {
    const number = index + 1;
    const played = number <= film.last;
    const button = make(
      "button",
      { type: "button", class: "step", tabindex: -1, disabled: !played && "", onclick: () => jump(number) },
      make("span", { class: "number" }, number),
      make("span", { class: "words" }, stepText(words), trace.said && make("small", {}, stepText(trace.said[index]))),
    );
    const state = number === failing ? "failing" : played ? "" : "unplayed";
    const reason = number === failing && make("p", { class: "why" }, trace.reason.replace(/^step \d+ \([^)]*\): /, ""));
    return { button, item: make("li", { class: state }, button, reason) };
  });
  const end = trace.status === "valid" ? ["good", "The goal is reached."] : [];
  const unreached = !failing && trace.status === "invalid" ? ["failing", trace.reason] : [];
  const [kind, last] = end.length ? end : unreached;
  const element = make(
    "ol",
    { class: "plan", "aria-label": "Plan", onkeydown: move },
    items.map(({ item }) => item),
    last && make("li", { class: `ending ${kind}` }, make("p", { class: "why" }, last)),
  );

  function move(event) {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const from = items.findIndex(({ button }) => button === document.activeElement);
    const next = items[event.key === "Home" ? 0 : event.key === "End" ? film.last - 1 : from + way];
    if (from < 0 || !next || next.button.disabled) return;
    event.preventDefault();
    next.button.click();
    next.button.focus();
  }

  function mark(position) {
    items.forEach(({ button }, index) => {
      const here = index + 1 === position;
      button.tabIndex = index + 1 === Math.max(1, position) ? 0 : -1;
      if (here) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    const item = items[position - 1]?.item;
    if (!item) element.scrollTop = 0;
    else if (position === film.plan.length) element.scrollTop = element.scrollHeight;
    else if (item.offsetTop < element.scrollTop) element.scrollTop = item.offsetTop - 8;
    else if (item.offsetTop + item.offsetHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = item.offsetTop + item.offsetHeight - element.clientHeight + 8;
    }
  }

  return { element, mark };
}
