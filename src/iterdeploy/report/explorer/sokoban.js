// Sokoban: walls, floor, boxes on their way to their goals, and the robot that pushes them. A cell's name ends in its
// two coordinates, such as loc_3_4; which way they run is read from the neighbours that the task names.

const SOKOBAN = { "at-robot": 1, at: 2, clear: 1 };
const CELL = 32;
const MOST_CELLS_ACROSS = 64;

/** As `blocksPicture`. */
function sokobanPicture(film) {
  if (!film.speaksOf(SOKOBAN) || !film.facts.some(([name]) => name === "at-robot")) return null;
  const map = floorPlan(film);
  if (!map) return null;
  const { cells, columns, rows } = map;
  const boxes = [...new Set(film.facts.filter(([name]) => name === "at").map(([, box]) => box))];
  const wanted = film.goal.map((fact) => film.facts[fact]).filter(([name]) => name === "at");
  const goals = new Map(wanted.map(([, box, cell]) => [box, cell]));
  const size = { width: columns * CELL, height: rows * CELL };
  const groups = new Map(boxes.map((box) => [box, crate(boxes.length > 1 ? boxMark(box) : "")]));
  const robot = robotShape();
  const element = draw(
    "svg",
    { viewBox: `0 0 ${size.width} ${size.height}`, class: "sokoban", "aria-hidden": "true" },
    draw("rect", { class: "wall", width: size.width, height: size.height, rx: 6 }),
    [...cells.values()].map(([x, y]) =>
      draw("rect", { class: "cell", x: x * CELL, y: y * CELL, width: CELL, height: CELL }),
    ),
    [...goals].map(([box, cell]) => target(cells.get(cell), boxes.length > 1 ? boxMark(box) : "")),
    [...groups.values()],
    robot,
  );

  function show(position, moving) {
    element.classList.toggle("moving", moving);
    for (const fact of film.seek(position)) {
      const [name, ...objects] = film.facts[fact];
      if (name === "clear") continue;
      const [x, y] = cells.get(objects.at(-1));
      const group = name === "at" ? groups.get(objects[0]) : robot;
      group.style.transform = shifted(x * CELL, y * CELL);
      if (name === "at") group.classList.toggle("home", goals.get(objects[0]) === objects[1]);
    }
    const [, ...failing] = film.failed && position === film.last ? film.plan[film.failed - 1] : [];
    for (const [box, group] of groups) group.classList.toggle("failing", failing.includes(box));
  }

  return { element, show, size, goal: null, pace: 380 };
}

/** { cells: name -> [x, y], columns, rows } with a ring of wall around; null where the names do not say. */
function floorPlan(film) {
  const places = new Map();
  const name = (cell) => {
    const found = /(\d+)\D+(\d+)$/.exec(cell);
    if (found) places.set(cell, [Number(found[1]), Number(found[2])]);
    return Boolean(found);
  };
  if (!film.facts.every(([, ...objects]) => name(objects.at(-1)))) return null;
  const ways = { up: null, down: null, left: null, right: null };
  for (const [predicate, cell, next, way] of film.fixed) {
    if (predicate !== "adjacent" || !(way in ways) || !name(cell) || !name(next)) continue;
    const step = places.get(next).map((value, axis) => value - places.get(cell)[axis]);
    ways[way] ??= step;
    if (Math.abs(step[0]) + Math.abs(step[1]) !== 1 || String(ways[way]) !== String(step)) return null;
  }
  const right = ways.right ?? ways.left?.map((value) => -value) ?? [0, 1];
  const down = ways.down ?? ways.up?.map((value) => -value) ?? [right[1] ** 2, right[0] ** 2];
  const along = (place, [a, b]) => place[0] * a + place[1] * b;
  const turned = [...places].map(([cell, place]) => [cell, [along(place, right), along(place, down)]]);
  const [left, top] = [0, 1].map((axis) => Math.min(...turned.map(([, place]) => place[axis])) - 1);
  const cells = new Map(turned.map(([cell, [x, y]]) => [cell, [x - left, y - top]]));
  const [columns, rows] = [0, 1].map((axis) => Math.max(...[...cells.values()].map((place) => place[axis])) + 2);
  const apart = new Set([...cells.values()].map(String)).size === cells.size;
  return apart && Math.max(columns, rows) <= MOST_CELLS_ACROSS ? { cells, columns, rows } : null;
}

/** What tells a box from the others: the number at the end of its name, or its beginning. */
const boxMark = (box) => /\d+$/.exec(box)?.[0].slice(-3) ?? plain(box.slice(0, 2));

const crate = (mark) =>
  draw(
    "g",
    { class: "crate" },
    draw("rect", { x: 4, y: 4, width: CELL - 8, height: CELL - 8, rx: 4 }),
    mark
      ? draw("text", { x: CELL / 2, y: CELL / 2 + 4.5 }, mark)
      : draw("path", { d: `M9 9L${CELL - 9} ${CELL - 9}M${CELL - 9} 9L9 ${CELL - 9}` }),
  );

const target = ([x, y], mark) =>
  draw(
    "g",
    { class: "target", transform: `translate(${x * CELL} ${y * CELL})` },
    draw("rect", { x: 6, y: 6, width: CELL - 12, height: CELL - 12, rx: 4 }),
    mark && draw("text", { x: CELL / 2, y: CELL / 2 + 4 }, mark),
  );

const robotShape = () =>
  draw(
    "g",
    { class: "robot" },
    draw("circle", { cx: CELL / 2, cy: CELL / 2, r: 10.5 }),
    draw("circle", { class: "eye", cx: CELL / 2 - 3.7, cy: CELL / 2 - 2, r: 1.9 }),
    draw("circle", { class: "eye", cx: CELL / 2 + 3.7, cy: CELL / 2 - 2, r: 1.9 }),
  );
