// Where the reader is: the filters and the opened trace, kept in the address as
// #traces?generation=2&verdict=invalid&trace=ID, so that every view has a link.

const FILTERS = {
  generation: { title: "Generation", of: (trace) => [trace.generation], order: (a, b) => a - b },
  verdict: {
    title: "Verdict",
    of: (trace) => [trace.status],
    order: (a, b) => VERDICTS.indexOf(a) - VERDICTS.indexOf(b),
  },
  domain: { title: "Domain", of: (trace) => [trace.domain], order: (a, b) => (a < b ? -1 : 1) },
  size: { title: "Size", of: (trace) => [trace.size], order: (a, b) => a - b },
  split: { title: "Tasks", of: (trace) => [trace.split], order: (a, b) => (a < b ? -1 : 1) },
  pool: { title: "Trained generation", of: (trace) => trace.trained, order: (a, b) => a - b },
};

const VERDICTS = ["valid", "invalid", "unparseable", "truncated", "error"];
const SPLITS = { deployed: "deployed", held_out: "held-out" };

/** { filters: { name: value }, trace: id or null, here: whether the address names the traces at all } */
function readPlace() {
  const [name, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const given = new URLSearchParams(name === "traces" ? query : "");
  const filters = {};
  for (const key of Object.keys(FILTERS)) if (given.get(key)) filters[key] = given.get(key);
  return { filters, trace: given.get("trace"), here: name === "traces" };
}

function address(filters, trace = null) {
  const query = new URLSearchParams(filters);
  if (trace) query.set("trace", trace);
  return `#traces${query.size ? "?" : ""}${query}`;
}
