// Where traces come from: the data in the page, or the server that serves it. Both answer the same two questions, which
// traces there are and what is in one, with promises.

const PAGE_LENGTH = 25;

class InPage {
  constructor(data) {
    this.traces = data.traces;
    this.tasks = data.tasks;
    this.partial = data.partial;
  }

  /** { traces, next, total, facets }: those after `after`, and the counts under each filter given the others. */
  async list(filters, after) {
    const found = this.traces.filter((trace) => fits(trace, filters));
    const from = found.filter((trace) => trace.row > after);
    const traces = from.slice(0, PAGE_LENGTH);
    const next = from.length > PAGE_LENGTH ? traces.at(-1).row : null;
    return { traces, next, total: found.length, facets: this.facets(filters) };
  }

  facets(filters) {
    const facets = {};
    for (const [name, filter] of Object.entries(FILTERS)) {
      const { [name]: own, ...others } = filters;
      const counts = new Map();
      for (const trace of this.traces) {
        if (!fits(trace, others)) continue;
        for (const value of filter.of(trace)) counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      facets[name] = [...counts];
    }
    return facets;
  }

  async open(id) {
    const trace = this.traces.find((one) => one.id === id);
    if (!trace) return null;
    return {
      trace,
      task: this.tasks[trace.task],
      answers: this.traces
        .filter((one) => one.task === trace.task)
        .sort((a, b) => a.generation - b.generation || a.sample - b.sample),
      partial: this.partial,
    };
  }
}

const fits = (trace, filters) =>
  Object.entries(filters).every(([name, value]) => FILTERS[name].of(trace).some((one) => String(one) === value));

class Served {
  async list(filters, after) {
    return this.ask(`/api/traces?${new URLSearchParams({ ...filters, after, limit: PAGE_LENGTH })}`);
  }

  async open(id) {
    return this.ask(`/api/trace/${encodeURIComponent(id)}`);
  }

  async state() {
    return this.ask("/api/state");
  }

  async ask(path) {
    const answer = await fetch(path, { cache: "no-store" }).catch((error) => {
      throw new Error(`No answer from iterdeploy view (${error.message}); is it still running?`);
    });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }
}
