"""Satellite: satellites turn to directions and take pictures there with calibrated instruments.

Tasks: `size` satellites that point anywhere, each with one instrument or more; every instrument has its modes and its
calibration direction. Wanted are pictures, each of a direction in a mode, with probability 0.4, and for half of the
satellites where they point in the end. Ramps: 1 or 2 satellites with as many instruments, one mode and 2 or 3
directions (base); then as the IPC 2023 learning track, 3 to 10 satellites, 3 to 20 instruments, 1 to 3 modes and 4 to
10 directions (easy), 15 to 40, 20 to 80, 3 to 5 and 15 to 30 (medium), 50 to 100, 80 to 200, 5 to 10 and 40 to 100
(hard). The track's medium ramp begins again with 15 instruments and its hard one with 50; here no parameter ever falls
as the size grows.

The scripted planner takes, again and again, the instrument that can take most of the missing pictures, switches it on,
calibrates it and takes all of these, direction by direction; where its satellite must point in the end comes last. Its
simplification: the choice of instruments is greedy, and two instruments may visit one direction for different modes.
"""

from dataclasses import dataclass

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import PlanningDomain, SizeRamp, Step
from iterdeploy.planning.domains.common import PolicyFailed, by_predicate, domain_text, interpolate, names, problem_text
from iterdeploy.planning.rng import Rng

WANTED_PICTURES = 0.4
WANTED_POINTING = 0.5


@dataclass(frozen=True)
class Parameters:
    satellites: int
    instruments: int
    modes: int
    directions: int


def parameters(size: int) -> Parameters:
    return Parameters(
        satellites=size,
        instruments=interpolate(size, (1, 1), (3, 3), (10, 20), (15, 20), (40, 80), (50, 80), (100, 200)),
        modes=interpolate(size, (1, 1), (3, 1), (10, 3), (15, 3), (40, 5), (50, 5), (100, 10)),
        directions=interpolate(size, (1, 2), (3, 4), (10, 10), (15, 15), (40, 30), (50, 40), (100, 100)),
    )


def generate(size: int, rng: Rng, name: str) -> str:
    given = parameters(size)
    satellites = names("sat", given.satellites, rng, pool=10)
    instruments = names("ins", given.instruments, rng, pool=20)
    modes = names("mod", given.modes, rng, pool=3)
    directions = names("dir", given.directions, rng, pool=10)
    first = rng.shuffled(satellites)
    carriers = rng.shuffled(first + [rng.choice(satellites) for _ in range(given.instruments - given.satellites)])
    supports = {instrument: rng.sample(modes, rng.between(1, len(modes))) for instrument in instruments}
    for mode in modes:
        if not any(mode in own for own in supports.values()):
            supports[rng.choice(instruments)].append(mode)
    pictures = [("have_image", direction, mode) for direction in directions for mode in modes]
    wanted = [picture for picture in pictures if rng.chance(WANTED_PICTURES)] or [rng.choice(pictures)]
    pointed = [satellite for satellite in satellites if rng.chance(WANTED_POINTING)]
    return problem_text(
        name,
        "satellite",
        [(satellites, "satellite"), (instruments, "instrument"), (modes, "mode"), (directions, "direction")],
        [
            *(("pointing", satellite, rng.choice(directions)) for satellite in satellites),
            *(("power_avail", satellite) for satellite in satellites),
            *(("calibration_target", instrument, rng.choice(directions)) for instrument in instruments),
            *(("on_board", *pair) for pair in zip(instruments, carriers, strict=True)),
            *(("supports", instrument, mode) for instrument in instruments for mode in sorted(supports[instrument])),
        ],
        [*(("pointing", satellite, rng.choice(directions)) for satellite in pointed), *wanted],
    )


def solve(problem: Problem) -> list[Step]:
    facts = by_predicate(problem.init_list)
    wanted = by_predicate(problem.goal_atoms())
    pointing, in_the_end = facts.pairs("pointing"), wanted.pairs("pointing")
    carrier, target, modes = facts.pairs("on_board"), facts.pairs("calibration_target"), facts.lists("supports")
    power = {carrier[instrument]: instrument for (instrument,) in facts["power_on"]}
    missing = [picture for picture in wanted["have_image"] if ("have_image", *picture) not in problem.init]
    steps: list[Step] = []

    def turn(satellite: str, direction: str) -> None:
        if pointing[satellite] != direction:
            steps.append(("turn_to", satellite, direction, pointing[satellite]))
            pointing[satellite] = direction

    while missing:
        instrument = min(
            (instrument for instrument in target if instrument in carrier),
            key=lambda one: (
                -sum(mode in modes.get(one, ()) for _, mode in missing),
                pointing[carrier[one]] != target[one],
                carrier[one] in power,
            ),
        )
        satellite = carrier[instrument]
        mine = [picture for picture in missing if picture[1] in modes.get(instrument, ())]
        if not mine:
            raise PolicyFailed(f"no instrument can take a picture in mode {missing[0][1]}")
        if power.get(satellite) != instrument:
            if satellite in power:
                steps.append(("switch_off", power[satellite], satellite))
            steps.append(("switch_on", instrument, satellite))
            power[satellite] = instrument
        turn(satellite, target[instrument])
        steps.append(("calibrate", satellite, instrument, target[instrument]))
        last = in_the_end.get(satellite)
        for direction, mode in sorted(mine, key=lambda one: (one[0] != target[instrument], one[0] == last, one[0])):
            turn(satellite, direction)
            steps.append(("take_image", satellite, direction, instrument, mode))
        missing = [picture for picture in missing if picture not in mine]
    for satellite, direction in in_the_end.items():
        turn(satellite, direction)
    return steps


DOMAIN = PlanningDomain(
    name="satellite",
    pddl=domain_text("satellite"),
    size_unit="satellites",
    ramps={
        "base": SizeRamp(1, 2),
        "easy": SizeRamp(3, 10),
        "medium": SizeRamp(15, 40),
        "hard": SizeRamp(50, 100),
    },
    generate=generate,
    solve=solve,
)
