// The plain view of a state, for every domain: what the step adds and removes, what of the goal
// holds, then all facts that hold, by predicate.

/** As `blocksPicture`; there is always one. */
function factsPicture(film) {
  const change = make("ul", { class: "change" });
  const goals = film.goal.map((fact) => make("li", { class: "fact" }));
  const chips = film.facts.map((fact) => make("li", { class: "fact" }, stepText(fact)));
  const groups = new Map();
  film.facts.forEach(([name], number) => {
    if (!groups.has(name)) groups.set(name, { numbers: [], count: make("span", { class: "count" }) });
    groups.get(name).numbers.push(number);
  });
  const all = make("div", { class: "holding", tabindex: "0", role: "region", "aria-label": "Facts that hold" });
  for (const [name, group] of groups) {
    const list = make(
      "ul",
      {},
      group.numbers.map((number) => chips[number]),
    );
    all.append(make("h5", {}, name, " ", group.count), list);
  }
  if (film.fixedInAll) all.append(fixedFacts(film));
  const element = make(
    "div",
    { class: "state-facts" },
    make("h5", {}, "What this step changes"),
    change,
    goals.length > 0 && make("h5", {}, "Goal"),
    make(
      "ul",
      {},
      goals,
      film.otherGoals.map((goal) => make("li", { class: "fact" }, goal)),
    ),
    all,
  );

  function show(position) {
    const state = film.seek(position);
    const [added, removed] = position > 0 && position <= film.steps.length ? film.steps[position - 1] : [[], []];
    chips.forEach((chip, number) => {
      chip.hidden = !state.has(number);
      chip.classList.toggle("added", added.includes(number));
    });
    for (const { numbers, count } of groups.values()) {
      count.textContent = String(numbers.filter((number) => state.has(number)).length);
    }
    const told = (numbers, kind, sign) =>
      numbers.map((number) => make("li", { class: `fact ${kind}` }, `${sign} ${stepText(film.facts[number])}`));
    const changes = [...told(removed, "removed", "−"), ...told(added, "added", "+")];
    change.replaceChildren(...(changes.length ? changes : [make("li", { class: "fact" }, "nothing")]));
    film.goal.forEach((fact, index) => {
      const holds = state.has(fact);
      goals[index].className = `fact ${holds ? "added" : ""}`;
      goals[index].replaceChildren(...shown(`${holds ? "✓" : "○"} ${stepText(film.facts[fact])}`));
    });
  }

  return { element, show, size: null, goal: null, pace: 850 };
}

function fixedFacts(film) {
  const shownOf = film.fixed.length < film.fixedInAll ? `, the first ${film.fixed.length} of which are here` : "";
  return make(
    "details",
    {},
    make("summary", {}, `${counted(film.fixedInAll, "fact")} that no action changes${shownOf}`),
    make(
      "ul",
      {},
      film.fixed.map((fact) => make("li", { class: "fact" }, stepText(fact))),
    ),
  );
}
