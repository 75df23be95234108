"""Childsnack: sandwiches made in the kitchen and carried on trays to waiting children, some allergic to gluten.

Tasks: `size` children, each waiting at a random table; bread and content for exactly one sandwich each, as many
without gluten as there are allergic children. Ramps: 1 to 3 children, none or 1 allergic, 1 tray (base); then as the
IPC 2023 learning track, 4 to 10 children, up to 6 allergic, 1 to 3 trays and 4 to 15 sandwiches (easy), 15 to 40, 15
to 25, up to 5 and 15 to 60 (medium), 50 to 300, 50 to 150, up to 10 and 60 to 450 (hard). The track's easy ramp begins
with nobody allergic, its medium ramp again with 2 trays, its hard ramp with 4 trays and 50 sandwiches; here no
parameter ever falls as the size grows.

The scripted planner makes a sandwich for every child, the gluten-free ones first, puts them all on one tray and takes
it from table to table. With sandwiches made, loaded and served one by one, no plan is shorter.
"""

from dataclasses import dataclass

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.rng import Rng


@dataclass(frozen=True)
class Parameters:
    children: int
    allergic: int
    trays: int
    sandwiches: int
    """Names for sandwiches that may be made; there is bread for `children` of them."""
    tables: int


def parameters(size: int) -> Parameters:
    return Parameters(
        children=size,
        allergic=interpolate(size, (1, 0), (2, 1), (4, 1), (10, 6), (15, 15), (40, 25), (50, 50), (300, 150)),
        trays=interpolate(size, (1, 1), (4, 1), (10, 3), (15, 3), (40, 5), (50, 5), (300, 10)),
        sandwiches=interpolate(size, (1, 1), (4, 4), (10, 15), (15, 15), (40, 60), (50, 60), (300, 450)),
        tables=min(size, 3),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    children = names("child", given.children, rng, pool=10)
    trays = names("tray", given.trays, rng, pool=3)
    sandwiches = names("sandw", given.sandwiches, rng, pool=15)
    breads = names("bread", given.children, rng, pool=10)
    contents = names("content", given.children, rng, pool=10)
    tables = names("table", given.tables, rng, pool=3)
    allergic = rng.sample(children, given.allergic)
    init: list[Step] = [("at", tray, "kitchen") for tray in trays]
    init += [("at_kitchen_bread", bread) for bread in breads]
    init += [("at_kitchen_content", content) for content in contents]
    init += [("no_gluten_bread", bread) for bread in rng.sample(breads, given.allergic)]
    init += [("no_gluten_content", content) for content in rng.sample(contents, given.allergic)]
    init += [("allergic_gluten" if child in allergic else "not_allergic_gluten", child) for child in children]
    init += [("waiting", child, rng.choice(tables)) for child in children]
    init += [("notexist", sandwich) for sandwich in sandwiches]
    return problem_text(
        name,
        "childsnack",
        [
            (children, "child"),
            (trays, "tray"),
            (sandwiches, "sandwich"),
            (breads, "bread-portion"),
            (contents, "content-portion"),
            (tables, "place"),
        ],
        init,
        [("served", child) for child in children],
    )


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    table = facts.pairs("waiting")
    hungry = [child for _, child in problem.goal_atoms() if ("served", child) not in problem.init]
    if not hungry:
        return []
    allergic = [child for child in hungry if ("allergic_gluten", child) in problem.init]
    others = [child for child in hungry if child not in allergic]
    breads = _gluten_free_first(problem, facts["at_kitchen_bread"], "no_gluten_bread")
    contents = _gluten_free_first(problem, facts["at_kitchen_content"], "no_gluten_content")
    unmade = [sandwich for (sandwich,) in facts["notexist"]]
    tray, here = facts["at"][0]
    steps: list[Step] = [] if here == "kitchen" else [("move_tray", tray, here, "kitchen")]
    here = "kitchen"
    made = dict(zip([*allergic, *others], unmade, strict=False))
    for child, bread, content in zip(made, breads, contents, strict=False):
        make = "make_sandwich_no_gluten" if child in allergic else "make_sandwich"
        steps += [(make, made[child], bread, content), ("put_on_tray", made[child], tray)]
    for place in dict.fromkeys([here, *(table[child] for child in hungry)]):
        guests = [child for child in hungry if table[child] == place]
        if guests and place != here:
            steps.append(("move_tray", tray, here, place))
            here = place
        for child in guests:
            serve = "serve_sandwich_no_gluten" if child in allergic else "serve_sandwich"
            steps.append((serve, made[child], child, tray, place))
    return steps


def _gluten_free_first(problem: Problem, portions: list[tuple[str, ...]], predicate: str) -> list[str]:
    return [portion for (portion,) in sorted(portions, key=lambda one: (predicate, *one) not in problem.init)]


DOMAIN = PlanningDomain(
    name="childsnack",
    pddl=domain_text("childsnack"),
    size_unit="children",
    ramps={
        "base": SizeRamp(1, 3),
        "easy": SizeRamp(4, 10),
        "medium": SizeRamp(15, 40),
        "hard": SizeRamp(50, 300),
    },
    generate=generate,
    solve=solve,
)
