// The filters and the list of the traces that pass them.

/** Rows of buttons for the filters with few values, menus for the others; a filter with one value is left out. */
function filterBar(facets, filters) {
  const bar = make("div", { class: "filters" });
  for (const [name, filter] of Object.entries(FILTERS)) {
    const values = facets[name].sort(([a], [b]) => filter.order(a, b));
    if (filters[name] && !values.some(([value]) => String(value) === filters[name])) values.push([filters[name], 0]);
    if (values.length < 2 && !filters[name] && name !== "pool") continue;
    if (!values.length) continue;
    bar.append((name === "generation" || name === "verdict" ? buttonRow : menu)(name, filter.title, values, filters));
  }
  return bar;
}

const valueName = (name, value) => (name === "split" ? (SPLITS[value] ?? value) : String(value));

const chosen = (filters, name, value) => {
  const { [name]: _, ...others } = filters;
  return address(value === "" ? others : { ...others, [name]: value });
};

function buttonRow(name, title, values, filters) {
  const button = (value, label, count) =>
    make(
      "button",
      {
        type: "button",
        "data-focus": `${name}=${value}`,
        "aria-pressed": (filters[name] ?? "") === String(value),
        onclick: () => (location.hash = chosen(filters, name, value)),
      },
      name === "verdict" && value !== "" ? make("span", { class: `status ${value}` }, label) : label,
      count === null ? null : make("span", { class: "count" }, ` ${count.toLocaleString("en")}`),
    );
  return make(
    "div",
    { class: "row", role: "group", "aria-label": title },
    make("span", { class: "row-title", "aria-hidden": "true" }, title),
    make(
      "div",
      { class: "buttons" },
      button("", "all", null),
      values.map(([value, count]) => button(value, valueName(name, value), count)),
    ),
  );
}

function menu(name, title, values, filters) {
  const options = values.map(([value, count]) => {
    const selected = filters[name] === String(value) && "";
    return make("option", { value, selected }, `${plain(valueName(name, value))} (${count.toLocaleString("en")})`);
  });
  const select = make(
    "select",
    { "data-focus": name, onchange: () => (location.hash = chosen(filters, name, select.value)) },
    make("option", { value: "" }, name === "pool" ? "any or none" : "all"),
    options,
  );
  return make("label", { class: "menu" }, make("span", {}, title), select);
}

/** One trace in the list: a link that opens it. */
function traceRow(trace, filters, severalDomains) {
  const about = [
    `gen ${trace.generation}`,
    `${severalDomains ? `${trace.domain} ` : "size "}${trace.size}`,
    trace.steps ? counted(trace.steps, "step") : null,
  ];
  const trained = trace.trained.length ? `trained generation ${ranges(trace.trained)}` : `${SPLITS[trace.split]} task`;
  return make(
    "li",
    {},
    make(
      "a",
      { href: address(filters, trace.id), "data-trace": trace.id },
      make("span", { class: `status ${trace.status}` }, trace.status),
      make("span", { class: "about" }, about.filter(Boolean).join(" · ")),
      make("span", { class: "why" }, trace.reason || trained),
    ),
  );
}
