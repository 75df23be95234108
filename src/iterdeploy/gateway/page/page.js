
const at = (id) => document.getElementById(id);
const place = { view: "ask", trace: null, inbox: [], model: null, plan: null, step: 0 };

function headers(more = {}) {
  const found = { "X-Iterdeploy-Train": at("train").checked ? "yes" : "no", ...more };
  if (at("user").value) found["X-Iterdeploy-User"] = at("user").value;
  if (at("key").value) found.Authorization = `Bearer ${at("key").value}`;
  return found;
}

async function call(path, body) {
  const options = body === undefined ? { headers: headers() }
    : { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    if (response.status === 401) at("who").open = true;
    throw new Error(said.error?.message ?? `status ${response.status}`);
  }
  return response;
}

function say(words) { at("status").textContent = words; }

async function trying(act) {
  try { await act(); } catch (error) { say(`That did not work: ${error.message}`); }
}

async function start() {
  const models = (await (await call("/v1/models")).json()).data.map((model) => model.id);
  place.model = models[0];
  at("name").textContent = document.title = place.model;
  const newest = models[models.length - 1];
  at("serving").textContent = models.length > 1 ? `Generations up to ${newest}` : "";
}

function show(trace) {
  place.trace = trace.id;
  at("answer").hidden = false;
  at("prompt").textContent = trace.prompt;
  at("text").textContent = trace.text;
  at("from").textContent = trace.model ? `Answered by ${trace.model}` : "";
  at("verdict").textContent = trace.status && trace.status !== "unjudged"
    ? `The validator says: ${trace.status}${trace.reason ? `, ${trace.reason}` : ""}` : "";
  showPlan(trace.plan ?? null);
  for (const id of ["publish", "reject", "correct"]) at(id).disabled = !trace.id;
  at("correction").value = trace.text;
  correcting(false);
}

function showPlan(plan) {
  place.plan = plan;
  place.step = 0;
  at("plan").hidden = !plan;
  if (!plan) return;
  at("steps").replaceChildren(...plan.steps.map((step) => {
    const item = document.createElement("li");
    item.textContent = step;
    return item;
  }));
  showStep(0);
}

function showStep(step) {
  place.step = Math.max(0, Math.min(step, place.plan.states.length - 1));
  [...at("steps").children].forEach((item, index) => {
    if (index === place.step - 1) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  at("state").textContent = place.plan.states[place.step];
  at("back").disabled = place.step === 0;
  at("forth").disabled = place.step === place.plan.states.length - 1;
}

async function ask() {
  const prompt = at("question").value;
  say("The model is answering.");
  show({ id: null, prompt, text: "" });
  const body = { model: place.model, stream: true, messages: [{ role: "user", content: prompt }] };
  const response = await call("/v1/chat/completions", body);
  const id = response.headers.get("X-Iterdeploy-Trace");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") continue;
      const said = JSON.parse(data);
      if (said.error) throw new Error(said.error.message);
      at("text").textContent += said.choices[0]?.delta?.content ?? "";
    }
  }
  show(await (await call(`/v1/traces/${id}`)).json());
  say("Would you publish this answer?");
}

async function judge(verdict, correction) {
  const body = { trace: place.trace, verdict };
  if (correction !== undefined) body.correction = correction;
  await call("/v1/feedback", body);
  say({ publish: "Published.", reject: "Rejected.", correct: "Your correction is stored." }[verdict]);
  correcting(false);
  if (place.view === "inbox") await next();
}

function correcting(open) {
  at("correcting").hidden = !open;
  at("correct").setAttribute("aria-expanded", String(open));
  if (open) at("correction").focus();
}

async function next() {
  place.inbox = place.inbox.filter((id) => id !== place.trace);
  if (!place.inbox.length) place.inbox = (await (await call("/v1/inbox")).json()).traces;
  if (place.inbox.length && place.inbox[0] === place.trace) place.inbox.push(place.inbox.shift());
  if (!place.inbox.length) {
    at("answer").hidden = true;
    place.trace = null;
    say("Every answer is judged.");
    return;
  }
  show(await (await call(`/v1/traces/${place.inbox[0]}`)).json());
}

async function look(view) {
  place.view = view;
  for (const name of ["ask", "inbox"]) at(`show-${name}`).setAttribute("aria-pressed", String(name === view));
  at("ask").hidden = view !== "ask";
  at("inbox-note").hidden = at("next").hidden = view !== "inbox";
  at("answer").hidden = true;
  place.trace = null;
  say("");
  if (view === "inbox") { place.inbox = []; await next(); }
}

at("ask").addEventListener("submit", (event) => { event.preventDefault(); trying(ask); });
at("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); trying(ask); }
});
at("example").addEventListener("click", () => trying(async () => {
  at("question").value = (await (await call("/v1/example")).json()).prompt;
}));
at("show-ask").addEventListener("click", () => trying(() => look("ask")));
at("show-inbox").addEventListener("click", () => trying(() => look("inbox")));
at("publish").addEventListener("click", () => trying(() => judge("publish")));
at("reject").addEventListener("click", () => trying(() => judge("reject")));
at("correct").addEventListener("click", () => correcting(at("correcting").hidden));
at("next").addEventListener("click", () => trying(next));
at("back").addEventListener("click", () => showStep(place.step - 1));
at("forth").addEventListener("click", () => showStep(place.step + 1));
at("me").addEventListener("submit", (event) => { event.preventDefault(); trying(start); });
at("key").addEventListener("change", () => trying(start));
at("correcting").addEventListener("submit", (event) => {
  event.preventDefault();
  trying(() => judge("correct", at("correction").value));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
  const button = { p: "publish", r: "reject", c: "correct", n: "next" }[event.key];
  if (!button || at("answer").hidden || at(button).hidden || at(button).disabled) return;
  event.preventDefault();
  at(button).click();
});
trying(start);
