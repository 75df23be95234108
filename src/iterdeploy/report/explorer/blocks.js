// Blocksworld: towers on a table and a crane. Which tower stands where is worked out once for the whole plan, so that
// nothing moves but what a step moves, wherever in the plan the reader jumps.

const BLOCKS = { on: 2, "on-table": 1, ontable: 1, clear: 1, holding: 1, "arm-empty": 0, handempty: 0 };
const MOST_BLOCKS = 60;
const BLOCK = { height: 34, gap: 14, letters: 12 };
const CRANE = 1.9; // blocks of room for it above the highest tower

/** The picture as { element, show(position, moving) }; null where the plan is about something else. */
function blocksPicture(film) {
  if (!film.speaksOf(BLOCKS) || !film.facts.some(([name]) => name === "on")) return null;
  const names = [...new Set(film.facts.flatMap(([, ...objects]) => objects))];
  if (names.length > MOST_BLOCKS) return null;
  const places = standing(film);
  if (!places || names.some((name) => !places[0].at.has(name))) return null;
  const width = Math.max(46, 9 * Math.min(BLOCK.letters, Math.max(...names.map((name) => name.length))) + 16);
  const ever = places.flatMap((place) => [...place.at.values()]);
  const slots = 1 + ever.reduce((most, at) => Math.max(most, at.slot), 0);
  const rows = 1 + ever.reduce((most, at) => Math.max(most, at.level ?? 0), 0);
  const column = width + BLOCK.gap;
  const floor = (rows + CRANE) * BLOCK.height;
  const x = (slot) => BLOCK.gap / 2 + slot * column;
  const y = (level) => (level === null ? 0.9 * BLOCK.height : floor - (level + 1) * BLOCK.height);
  const blocks = new Map(names.map((name) => [name, block(name, width)]));
  const arm = crane(width);
  const size = { width: slots * column, height: floor + 8 };
  const element = table(size, floor, arm, ...blocks.values());
  const goal = goalTowers(film);

  function show(position, moving) {
    const place = places[Math.min(position, places.length - 1)];
    const state = film.seek(position);
    for (const [name, group] of blocks) {
      const at = place.at.get(name);
      put(group, x(at.slot), y(at.level));
      group.classList.toggle("home", settled(film, state, name));
    }
    const [, ...failing] = film.failed && position === film.last ? film.plan[film.failed - 1] : [];
    for (const [name, group] of blocks) group.classList.toggle("failing", failing.includes(name));
    put(arm, x(place.arm), y(null));
    if (moving) lift(places[position - 1], place);
  }

  /** The crane goes to the column, down, and up again; a block comes along on the way down or on the way up. */
  function lift(before, place) {
    const moved = [...place.at].find(([name, at]) => before.at.get(name).level !== at.level);
    if (!moved) return;
    const [name, to] = moved;
    const from = before.at.get(name);
    const low = to.level ?? from.level;
    const way = [x(before.arm), y(null), x(to.slot), y(null), x(to.slot), y(low), x(to.slot), y(null)];
    travel(arm, way);
    const [here, there] = [x(from.slot), x(to.slot)];
    const taken = [here, y(low), here, y(low), here, y(low), there, y(null)];
    const brought = [here, y(null), there, y(null), there, y(low), there, y(low)];
    travel(blocks.get(name), to.level === null ? taken : brought);
  }

  return { element, show, size, goal: goal && goalPicture(goal, width), pace: 850 };
}

/** For every position: where each block is, { slot, level }, level null in the crane; and the crane's slot. Null where
 *  the blocks do not stand on a table one on another. */
function standing(film) {
  const places = [];
  for (let position = 0; position <= film.steps.length; position++) {
    const before = places.at(-1);
    const { below, table, held } = relations(film, film.seek(position));
    const slots = new Map();
    for (const name of table) {
      const kept = before?.at.get(name);
      if (kept?.level === 0) slots.set(name, kept.slot);
    }
    for (const name of table) if (!slots.has(name)) slots.set(name, firstFree(new Set(slots.values())));
    const at = new Map(held.map((name) => [name, { slot: before?.at.get(name)?.slot ?? 0, level: null }]));
    for (const name of [...table, ...below.keys()]) {
      let [bottom, level] = [name, 0];
      for (; below.has(bottom) && level < MOST_BLOCKS; level++) bottom = below.get(bottom);
      if (!slots.has(bottom)) return null;
      at.set(name, { slot: slots.get(bottom), level });
    }
    if (before && at.size !== before.at.size) return null;
    const moved = [...at.keys()].find((name) => before && before.at.get(name)?.level !== at.get(name).level);
    places.push({ at, arm: moved ? at.get(moved).slot : (before?.arm ?? 0) });
  }
  return places;
}

function relations(film, state) {
  const facts = [...state].map((fact) => film.facts[fact]);
  const named = (...names) => facts.filter(([name]) => names.includes(name));
  return {
    below: new Map(named("on").map(([, above, under]) => [above, under])),
    table: named("on-table", "ontable").map(([, name]) => name),
    held: named("holding").map(([, name]) => name),
  };
}

function firstFree(taken) {
  let slot = 0;
  while (taken.has(slot)) slot++;
  return slot;
}

/** Whether a block stands where the goal wants it, and all below it, too. */
function settled(film, state, name) {
  for (let [under, depth] = [name, 0]; depth < MOST_BLOCKS; depth++) {
    const wanted = film.goal.filter((fact) => film.facts[fact][0].startsWith("on") && film.facts[fact][1] === under);
    if (!wanted.every((fact) => state.has(fact))) return false;
    const next = wanted.map((fact) => film.facts[fact]).find(([predicate]) => predicate === "on");
    if (!next) return wanted.length > 0 || depth > 0;
    under = next[2];
  }
  return false;
}

/** The goal's towers, each from the bottom up; null where the goal says nothing of towers. */
function goalTowers(film) {
  const facts = film.goal.map((fact) => film.facts[fact]);
  const above = new Map(facts.filter(([name]) => name === "on").map(([, top, under]) => [under, top]));
  const tops = new Set(above.values());
  const bottoms = [...new Set(facts.filter(([name]) => name.startsWith("on")).map((fact) => fact.at(-1)))];
  const towers = bottoms
    .filter((name) => !tops.has(name))
    .map((name) => {
      const tower = [name];
      while (above.has(tower.at(-1)) && tower.length <= MOST_BLOCKS) tower.push(above.get(tower.at(-1)));
      return tower;
    });
  return towers.length ? towers : null;
}

function goalPicture(towers, width) {
  const column = width + BLOCK.gap;
  const floor = Math.max(...towers.map((tower) => tower.length)) * BLOCK.height + 6;
  const blocks = towers.flatMap((tower, slot) =>
    tower.map((name, level) => {
      const group = block(name, width);
      group.classList.add("home");
      put(group, BLOCK.gap / 2 + slot * column, floor - (level + 1) * BLOCK.height);
      return group;
    }),
  );
  const size = { width: towers.length * column, height: floor + 8 };
  return { element: table(size, floor, ...blocks), size };
}

const table = (size, floor, ...content) =>
  draw(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, class: "blocks", "aria-hidden": "true" },
    ...content,
    draw("line", { class: "floor", x1: 1, x2: size.width - 1, y1: floor + 1.5, y2: floor + 1.5 }),
  );

function block(name, width) {
  const label = name.length > BLOCK.letters ? `${name.slice(0, BLOCK.letters - 1)}…` : name;
  return draw(
    "g",
    { class: "block" },
    draw("rect", { width, height: BLOCK.height - 2, y: 1, rx: 5 }),
    draw("text", { x: width / 2, y: BLOCK.height / 2 + 5 }, plain(label)),
  );
}

function crane(width) {
  const middle = width / 2;
  const arm = 0.3 * width;
  return draw(
    "g",
    { class: "crane" },
    draw("line", { x1: middle, x2: middle, y1: -2000, y2: -10 }),
    draw("path", { d: `M${middle - arm} 1v-6a5 5 0 0 1 5-5h${2 * arm - 10}a5 5 0 0 1 5 5v6` }),
  );
}

const shifted = (x, y) => `translate(${x}px, ${y}px)`;

function put(group, x, y) {
  for (const running of group.getAnimations()) running.cancel();
  group.style.transform = shifted(x, y);
}

/** Along four points, given as x and y in turn. */
function travel(group, way) {
  const frames = [];
  for (let i = 0; i < way.length; i += 2)
    frames.push({ transform: shifted(way[i], way[i + 1]), easing: "ease-in-out" });
  group.animate(frames, { duration: 700 });
}
