// One opened trace: the verdict in words, the plan played, the answers to the same task in all generations, the models
// that the trace trained, and the texts.

const REASONING_END = /<\/think>/gi;
const FIRST_CHARACTERS = 4_000;

/** The element of an opened trace; its heading can take the focus. */
function traceView({ trace, task, answers, partial }, filters) {
  const about = [
    `generation ${trace.generation}`,
    `${SPLITS[trace.split]} task of ${trace.domain}, size ${trace.size}`,
    trace.plan.length ? counted(trace.plan.length, "step") : null,
  ];
  const heading = make(
    "h3",
    { tabindex: -1, class: "trace-heading" },
    make("span", { class: `status ${trace.status}` }, trace.status),
    " ",
    make("span", { class: "about" }, about.filter(Boolean).join(" · ")),
  );
  return make(
    "article",
    { class: "opened" },
    heading,
    trace.reason && make("p", { class: "reason" }, trace.reason),
    playback(trace, task),
    make("div", { class: "threads" }, sameTask(trace, answers, filters, partial), training(trace)),
    texts(trace, task),
    make("p", { class: "note" }, details(trace)),
  );
}

function playback(trace, task) {
  if (task.course) return walked(trace, task.course);
  if (!task.scene) return task.no_scene && make("p", { class: "note" }, task.no_scene);
  const player = makePlayer(new Film(task.scene, trace.moves, trace.plan), trace);
  if (!trace.plan.length) return make("div", { class: "playback" }, player.element);
  const steps = make("div", { class: "steps" }, make("h4", {}, "Plan"), player.plan);
  return make("div", { class: "playback" }, player.element, steps);
}

/** A course with the way that the plan takes, and the plan. */
function walked(trace, course) {
  const stage = make("div", { class: "player" }, make("div", { class: "stage" }, coursePicture(course, trace.plan, trace.failed)));
  const moves = trace.plan.map((move, index) =>
    make("li", { class: index + 1 === trace.failed && "failing" }, stepText(move)),
  );
  const steps = make("div", { class: "steps" }, make("h4", {}, "Plan"), make("ol", { class: "moves" }, moves));
  return make("div", { class: "playback" }, stage, moves.length > 0 && steps);
}

/** The answers to the same task, a row for each generation; `partial`: those that the page holds, of more. */
function sameTask(trace, answers, filters, partial) {
  const generations = new Map();
  for (const one of answers) {
    if (!generations.has(one.generation)) generations.set(one.generation, []);
    generations.get(one.generation).push(chip(one, trace, filters));
  }
  const rows = [...generations].map(([generation, chips]) =>
    make("tr", {}, make("th", { scope: "row" }, `Generation ${generation}`), make("td", {}, chips)),
  );
  return make(
    "div",
    {},
    make("h4", {}, "The same task over the generations"),
    make("table", { class: "answers" }, make("tbody", {}, rows)),
    partial && make("p", { class: "note" }, "Of the answers that this page holds."),
  );
}

function chip(one, trace, filters) {
  const words = `${one.status}, ${counted(one.steps, "step")}, sample ${one.sample}`;
  const attributes = {
    class: `chip status ${one.status}`,
    href: address(filters, one.id),
    "aria-current": one.id === trace.id && "true",
    "aria-label": words,
    title: words,
  };
  return make("a", attributes, one.steps ? counted(one.steps, "step") : one.status);
}

function training(trace) {
  const models = trace.trained.map((generation) =>
    make("li", {}, make("a", { href: address({ pool: generation }) }, `generation ${generation}`)),
  );
  const none = trace.split === "held_out" ? "None: held-out tasks only measure." : "None: no pool holds this trace.";
  const list = models.length ? make("ul", { class: "models" }, models) : make("p", { class: "note" }, none);
  return make("div", {}, make("h4", {}, "Models that it trained"), list);
}

function texts(trace, task) {
  if (trace.turns.length) return transcript(trace, task);
  const [reasoning, rest] = parted(trace.text);
  return make(
    "div",
    { class: "texts" },
    textBlock("Prompt", task.prompt, task.left_out),
    make(
      "div",
      {},
      reasoning && textBlock("Reasoning", reasoning, 0),
      textBlock(reasoning ? "Answer after the reasoning" : "Answer", rest, trace.left_out),
    ),
  );
}

/** An episode turn by turn: what the model wrote, and what the environment said to it. */
function transcript(trace, task) {
  const [start, ...turns] = trace.turns;
  const blocks = turns.flatMap(({ said, observed }, index) => [
    textBlock(`Turn ${index + 1}: the model`, said, 0),
    observed && textBlock(`Turn ${index + 1}: the environment`, observed, 0),
  ]);
  return make(
    "div",
    { class: "texts" },
    make("div", {}, textBlock("Prompt", task.prompt, task.left_out), start.observed && textBlock("What it read first", start.observed, 0)),
    make("div", {}, blocks),
  );
}

/** The reasoning up to its last end mark, and what follows. */
function parted(text) {
  const last = [...text.matchAll(REASONING_END)].at(-1);
  const cut = last ? last.index + last[0].length : 0;
  return [text.slice(0, cut), text.slice(cut).replace(/^\n/, "")];
}

/** A text: first its beginning, the rest on demand, with a remark on how much of its end the page does not hold. */
function textBlock(title, text, leftOut) {
  const pre = make("pre", { tabindex: 0, role: "region", "aria-label": title }, text.slice(0, FIRST_CHARACTERS));
  const showAll = () => {
    pre.replaceChildren(...shown(text));
    more.remove();
    pre.focus();
  };
  const length = `Show all ${text.length.toLocaleString("en")} characters`;
  const more =
    text.length > FIRST_CHARACTERS && make("button", { type: "button", class: "quiet", onclick: showAll }, length);
  const cut =
    leftOut > 0 && make("p", { class: "note cut" }, `${counted(leftOut, "more character")} are not in this page.`);
  return make("div", { class: "text" }, make("h4", {}, title), pre, more, cut);
}

function details(trace) {
  const cost = trace.cost === null ? "" : `cost ${trace.cost}; `;
  const form = trace.plan.length ? (trace.strict ? "in exactly the form asked; " : "in another form than asked; ") : "";
  return (
    `Sample ${trace.sample} of task ${trace.task}; trace ${trace.id}; ${cost}${form}` +
    `${counted(trace.tokens, "token")}, ${trace.reasoning_tokens.toLocaleString("en")} of them reasoning, ` +
    `at temperature ${trace.temperature}${trace.validator && `; judged by ${trace.validator}`}.`
  );
}
