"""Tanks: water poured through pipes, a measure at a time, until each tank holds what it should.

Tasks: `size` tanks that pipes join, to both sides, into one net; a measure of 0.5 or 1 litre; capacities of 1 to 6
measures. Levels at the start and in the goal are random and have the same sum. Ramps: 2 to 4 tanks (base), up to 15
(easy), 60 (medium), 200 (hard).

The scripted planner takes a tank that has too much and the nearest one that has too little, and sends one measure along
the shortest way between them. On the way each tank pours on before it takes in, or takes in first where it is empty,
so none ever overflows.
"""

from collections.abc import Mapping
from fractions import Fraction

from iterdeploy.pddl import Problem
from iterdeploy.pddl.conditions import Number, show_number
from iterdeploy.planning.domain import PlanningDomain, Reasoning, SizeRamp, Step
from iterdeploy.planning.domains.common import by_predicate, domain_text, names, problem_text
from iterdeploy.planning.domains.graph import Routes, both_ways, connected
from iterdeploy.planning.domains.numeric import equation, goal_values
from iterdeploy.planning.rng import Rng

SMALLEST = 2
MOST = 6
"""Measures that a tank may hold at most."""
NAMES = 15


def generate(size: int, rng: Rng, name: str) -> str:
    if size < SMALLEST:
        raise ValueError(f"the smallest size of this domain is {SMALLEST}, not {size}")
    tanks = names("t", size, rng, pool=NAMES)
    measure = rng.choice([Fraction(1, 2), Fraction(1)])
    room = {tank: rng.between(1, MOST) for tank in tanks}
    now = {tank: rng.between(0, room[tank]) for tank in tanks}
    if sum(now.values()) in (0, sum(room.values())):  # nothing could be poured
        now[tanks[0]], now[tanks[1]] = room[tanks[0]], 0
    then = _spread(sum(now.values()), room, rng)
    while then == now:
        then = _spread(sum(now.values()), room, rng)
    pipes = both_ways(connected(tanks, size // 3, rng))
    values = [equation("measure", value=measure)]
    values += [equation("capacity", tank, value=room[tank] * measure) for tank in tanks]
    values += [equation("level", tank, value=now[tank] * measure) for tank in tanks]
    goal = [equation("level", tank, value=then[tank] * measure) for tank in tanks]
    return problem_text(name, "tanks", [(tanks, "tank")], [*(("pipe", *pair) for pair in pipes), *values], goal)


def _spread(measures: int, room: dict[str, int], rng: Rng) -> dict[str, int]:
    """So many measures in tanks with so much room, at random."""
    levels = dict.fromkeys(room, 0)
    for _ in range(measures):
        levels[rng.choice([tank for tank in room if levels[tank] < room[tank]])] += 1
    return levels


def solve(problem: Problem) -> list[Step]:
    return act(_lines(problem, list(goal_values(problem, "level"))))


def think(problem: Problem, rng: Rng) -> Reasoning:
    return _lines(problem, rng.shuffled(list(goal_values(problem, "level"))))


def _lines(problem: Problem, order: list[str]) -> Reasoning:
    """One line for each pour, with the levels that it leaves: `pour t1 t2 now 0.5 2`."""
    values = problem.values
    measure = Fraction(values["measure",])
    level = {tank: values["level", tank] for tank in problem.members["tank"]}
    wanted = _completed(goal_values(problem, "level"), level, problem)
    order = [*order, *(tank for tank in wanted if tank not in order)]
    routes = Routes(by_predicate(problem.init_list).lists("pipe"))
    lines: Reasoning = []

    def pour(start: str, end: str) -> None:
        level[start] -= measure
        level[end] += measure
        lines.append(["pour", start, end, "now", show_number(level[start]), show_number(level[end])])

    while full := next((tank for tank in order if level[tank] > wanted[tank]), None):
        dry = routes.nearest(full, [tank for tank in order if level[tank] < wanted[tank]])
        way = routes.way(full, dry)
        while way:
            last = max(place for place, (start, _) in enumerate(way) if level[start] >= measure)
            pour(*way.pop(last))
    return lines


def _completed(wanted: Mapping[str, Number], level: Mapping[str, Number], problem: Problem) -> dict[str, Number]:
    """A level for every tank: those of which the goal says nothing keep theirs, as far as what is left over allows."""
    out = {**level, **wanted}
    over = sum(level.values()) - sum(out.values())
    for tank in [tank for tank in out if tank not in wanted]:
        room = problem.values["capacity", tank]
        new = min(max(out[tank] + over, 0), room)
        out[tank], over = new, over - (new - out[tank])
    return out


def act(reasoning: Reasoning) -> list[Step]:
    return [(line[0], *line[1:3]) for line in reasoning if line[:1] == ["pour"]]


DOMAIN = PlanningDomain(
    name="tanks",
    pddl=domain_text("tanks"),
    size_unit="tanks",
    ramps={
        "base": SizeRamp(SMALLEST, 4),
        "easy": SizeRamp(5, 15),
        "medium": SizeRamp(16, 60),
        "hard": SizeRamp(61, 200),
    },
    generate=generate,
    solve=solve,
    think=think,
    act=act,
    marks=("pour",),
    names=["now", *(f"t{i + 1}" for i in range(NAMES)), *(show_number(Fraction(i, 2)) for i in range(2 * MOST + 1))],
)
