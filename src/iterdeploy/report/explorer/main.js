// The explorer: shows the place that the address names, in the element that waits for it, and, where a server answers,
// looks for new traces now and then.

const LOOK_AGAIN = 2_000; // milliseconds

const data = JSON.parse(document.getElementById("traces-data").textContent);
const root = document.getElementById("explorer");
const source = data.live ? new Served() : new InPage(data);
const filterPlace = make("div");
const summary = make("p", { class: "found", role: "status" });
const list = make("ul", { class: "traces" });
const more = make("button", { type: "button", class: "quiet more", onclick: showMore }, "Show more");
const listing = make("div", { class: "listing" }, filterPlace, summary, list, more);
const trouble = make("p", { class: "trouble", role: "alert" });
let listed = { key: null, next: null, last: 0, several: false };
let opened = null;
let asked = 0;

async function show({ scroll = false, focus = false } = {}) {
  const place = readPlace();
  const turn = ++asked;
  if (place.trace !== null) {
    const found = await source.open(place.trace);
    if (turn !== asked) return;
    opened = place.trace;
    root.replaceChildren(trouble, wayBack(place), found ? traceView(found, place.filters) : lost(place.trace));
    if (focus) root.querySelector("h3")?.focus({ preventScroll: true });
  } else {
    const from = opened;
    opened = null;
    if (!listing.isConnected) root.replaceChildren(trouble, listing);
    if (JSON.stringify(place.filters) !== listed.key) await fresh(place.filters, turn);
    const link = from && [...list.querySelectorAll("a")].find((one) => one.dataset.trace === from);
    if (focus && link) return link.focus();
  }
  if (scroll && turn === asked) document.getElementById("traces").scrollIntoView({ block: "start" });
}

/** The first page of the list under these filters. */
async function fresh(filters, turn) {
  const found = await source.list(filters, 0);
  if (turn !== asked) return;
  list.replaceChildren();
  listed = { key: JSON.stringify(filters), next: 0, last: 0, several: found.facets.domain.length > 1 };
  append(found, filters);
}

async function showMore() {
  const { filters } = readPlace();
  const turn = asked;
  const first = list.children.length;
  const found = await source.list(filters, listed.last);
  if (turn !== asked) return;
  append(found, filters);
  list.children[first]?.querySelector("a").focus();
}

function append(found, filters) {
  for (const trace of found.traces) list.append(traceRow(trace, filters, listed.several));
  listed.next = found.next;
  listed.last = found.traces.at(-1)?.row ?? listed.last;
  counts(found, filters);
}

/** What changes with the counts alone; the focus stays where it is. */
function counts(found, filters) {
  const kept = document.activeElement?.dataset.focus;
  filterPlace.replaceChildren(filterBar(found.facets, filters));
  if (kept) [...filterPlace.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === kept)?.focus();
  const text = found.total ? counted(found.total, "trace") : "No trace passes these filters.";
  if (summary.textContent !== text) summary.textContent = text;
  more.hidden = listed.next === null;
}

function wayBack({ filters, trace }) {
  const rows = [...list.querySelectorAll("a")];
  const here = rows.findIndex((one) => one.dataset.trace === trace);
  const beside = (index, label) =>
    rows[index] && here >= 0 && make("a", { href: address(filters, rows[index].dataset.trace) }, label);
  return make(
    "div",
    { class: "ways", role: "navigation", "aria-label": "Traces" },
    make("a", { href: address(filters) }, "← All traces"),
    make("span", {}, beside(here - 1, "Previous"), beside(here + 1, "Next")),
  );
}

const lost = (id) =>
  make(
    "p",
    { class: "note" },
    data.live ? `There is no trace ${id} in this run.` : `This page does not hold the trace ${id}; `,
    !data.live && make("code", {}, `iterdeploy view ${data.run}`),
    !data.live && " shows all.",
  );

/** New traces, as they are written: the counts and the end of the list change, and nothing that is there moves. */
async function look() {
  const state = await source.state();
  trouble.replaceChildren(...(state.trouble ? shown(state.trouble) : []));
  if (state.page !== data.page) offerNewPage(state);
  const turn = asked;
  const { filters } = readPlace();
  if (state.traces !== data.traces && listing.isConnected && listed.key !== null) {
    data.traces = state.traces;
    const found = await source.list(filters, listed.last);
    if (turn !== asked || !listing.isConnected) return;
    if (listed.next === null) append(found, filters);
    else counts(found, filters);
  }
}

function offerNewPage(state) {
  if (document.getElementById("news")) return;
  const words = state.measured ? `Generation ${state.measured - 1} has been measured. ` : "There is something new. ";
  document.body.append(
    make(
      "aside",
      { id: "news", role: "status" },
      words,
      make("button", { type: "button", onclick: () => location.reload() }, "Show it"),
    ),
  );
}

async function keepLooking() {
  try {
    if (!document.hidden) await look();
  } catch (error) {
    trouble.replaceChildren(...shown(error.message));
  }
  setTimeout(keepLooking, LOOK_AGAIN);
}

async function start(options) {
  try {
    await show(options);
  } catch (error) {
    if (!trouble.isConnected) root.prepend(trouble);
    trouble.replaceChildren(...shown(`The traces cannot be shown: ${error.message}`));
  }
}

window.addEventListener("hashchange", () => readPlace().here && start({ scroll: true, focus: true }));
await start({ scroll: readPlace().here });
if (data.live) keepLooking();
