// A robot's way past polygons: the field, the obstacles, start and goal, and the moves up to the one that fails.

const FIELD = 360; // pixels of the longer side

/** The picture of a course with the moves of a plan; `failed`: the first that cannot be made, or null. */
function coursePicture(course, plan, failed) {
  const [width, height] = course.size;
  const scale = FIELD / Math.max(width, height);
  const at = ([x, y]) => [x * scale, (height - y) * scale];
  const points = [course.start];
  for (const [, dx, dy] of plan) {
    const [x, y] = points.at(-1);
    points.push([x + Number(dx) * course.unit, y + Number(dy) * course.unit]);
  }
  const made = failed ? points.slice(0, failed) : points;
  const line = (places) => places.map((place) => at(place).join(",")).join(" ");
  const [startX, startY] = at(course.start);
  const [goalX, goalY] = at(course.goal);
  const told = failed ? `the moves up to move ${failed}, which fails` : counted(plan.length, "move");
  return draw(
    "svg",
    {
      viewBox: `-4 -4 ${width * scale + 8} ${height * scale + 8}`,
      class: "course",
      role: "img",
      "aria-label": `The field with ${counted(course.obstacles.length, "obstacle")} and ${told}`,
    },
    draw("rect", { class: "field", width: width * scale, height: height * scale }),
    course.obstacles.map((corners) => draw("polygon", { class: "obstacle", points: line(corners) })),
    draw("circle", { class: "goal", cx: goalX, cy: goalY, r: course.reach * scale }),
    draw("polyline", { class: "way", points: line(made) }),
    made.slice(1).map((place) => draw("circle", { class: "turn", cx: at(place)[0], cy: at(place)[1], r: 2.5 })),
    failed && draw("polyline", { class: "way failing", points: line(points.slice(failed - 1, failed + 1)) }),
    draw("circle", { class: "start", cx: startX, cy: startY, r: 5 }),
  );
}
