"""How a small model reads a Rovers task, thinks about it and acts.

The rendering says what matters and nothing twice: a way that a rover cannot use, and a sight that no one needs, are
left out. The reasoning first walks through every place that a rover can get to, going back where there is nothing new
(a depth-first search, written down). Behind a place's first mention in that walk stands the place that it was reached
from, so the way to any place is read off by asking for the place before, again and again, as one reads a tower off its
facts. Every errand goes out from where the rover started and comes back there. That is not the shortest plan; it is one
that needs no search beyond the walk, whatever the size of the map.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from iterdeploy.pddl import Problem
from iterdeploy.planning.domain import Reasoning, Step
from iterdeploy.planning.domains.common import Facts, PolicyFailed, by_predicate, shown_goal
from iterdeploy.planning.domains.rovers_fleet import FITNESS, Fleet
from iterdeploy.planning.rng import Rng

SKILLS = dict(zip(("soil", "rock", "image"), FITNESS, strict=True))
SHOWN = {"at_lander", "at", "store_of", "empty", "at_soil_sample", "at_rock_sample", "visible", "can_traverse"}
SHOWN |= {"on_board", "calibration_target", "supports", "visible_from", *FITNESS}
"""Predicates of the initial states that the short rendering tells."""
MARKS = ["lander", "seen", "rover", "from", "camera", "objective", "soil", "rock", "image"]
MARKS += ["walk", "calibrate", "report"]
"""Words that begin a line."""
INNER = ["soil", "rock", "image", "colour", "high_res", "low_res", "general", "back", "way"]
NAMES = [
    *(f"waypoint{i}" for i in range(1, 13)),
    *(f"rover{i}{store}" for i in range(1, 5) for store in ("", "store")),
    *(f"camera{i}" for i in range(1, 5)),
    *(f"objective{i}" for i in range(1, 11)),
]


def compact(problem: Problem) -> str:
    """Lander and what sees it, each rover with its skills and ways, cameras, objectives, samples, and the goal.

    ValueError for a task that this would not tell in full: another goal, facts of other kinds (a store that is full, a
    camera that is calibrated), stores not named after their rovers, several landers, a camera without a target.
    """
    goal = shown_goal(problem, [f"communicated_{kind}_data" for kind in SKILLS])
    facts = by_predicate(problem.init_list)
    if (
        not facts.keys() <= SHOWN
        or len(facts["at_lander"]) != 1
        or any(store != f"{rover}store" for store, rover in facts["store_of"])
        or {camera for camera, _ in facts["on_board"]} != {camera for camera, _ in facts["calibration_target"]}
    ):
        raise ValueError("a short rendering cannot show this task")
    fleet = Fleet(facts)
    lines = [["lander", fleet.lander, fleet.landing], ["seen", *_sights(facts)]]
    for rover, place in fleet.place.items():
        lines.append(["rover", rover, place, *(kind for kind, skill in SKILLS.items() if rover in fleet.fit[skill])])
        lines += [["from", start, *ends] for start, ends in _ways(facts, rover).items()]
    for camera, rover in facts["on_board"]:
        lines.append(["camera", camera, rover, fleet.target[camera], *fleet.modes.get(camera, [])])
    lines += [["objective", objective, *places] for objective, places in fleet.views.items()]
    lines += [[kind, *places] for kind, places in fleet.samples.items()]
    lines.append(["goal"])
    lines += [[report.split("_")[1], *what] for report, *what in goal]
    return "\n".join(" ".join(line) for line in lines)


def think(problem: Problem, rng: Rng) -> Reasoning:
    """The lander, the walks, a line for each thing to do (who does it, and the way back from it), and the reports.

    Where a walk may go to several new places, or several rovers or cameras can do a thing, it is any of them.
    """
    facts = by_predicate(problem.init_list)
    fleet = Fleet(facts)
    lines: Reasoning = [["lander", fleet.lander, fleet.landing]]
    before: dict[str, dict[str, str]] = {}
    for rover, place in fleet.place.items():
        walk, before[rover] = _walk(_ways(facts, rover), place, rng)
        lines.append(["walk", rover, *walk])
    reports = {rover: ["report", rover, *_way(before[rover], _sights(facts))] for rover in fleet.place}
    busy: dict[str, None] = {}
    for report, *what in problem.goal_atoms():
        for rover, errand in rng.shuffled(list(_errands(fleet, report.split("_")[1], what))):
            stops = [[*words, *_way(before[rover], places)] for words, places in errand]
            if all("way" in stop for stop in [*stops, reports[rover]]):
                break
        else:
            raise PolicyFailed(f"no rover alone can bring about ({report} {' '.join(what)})")
        lines += stops
        busy[rover] = None
    return lines + [reports[rover] for rover in fleet.place if rover in busy]


Stop = tuple[list[str], Sequence[str]]
"""The words of a line, and the places where what it says can be done."""


def _errands(fleet: Fleet, kind: str, what: Sequence[str]) -> Iterator[tuple[str, list[Stop]]]:
    """Which rovers might bring about a goal, and by which stops."""
    for rover in fleet.place:
        if rover not in fleet.fit[SKILLS[kind]]:
            continue
        if kind != "image":
            yield rover, [([kind, rover], what)]
            continue
        objective, mode = what
        for camera in fleet.cameras.get(rover, []):
            if mode in fleet.modes.get(camera, []):
                target = fleet.target[camera]
                yield (
                    rover,
                    [
                        (["calibrate", rover, camera, target], fleet.views.get(target, [])),
                        (["image", rover, camera, objective, mode], fleet.views.get(objective, [])),
                    ],
                )


def act(lines: Reasoning) -> list[Step]:
    """Every errand out and back in turn; then each rover goes where the lander sees it and reports."""
    steps: list[Step] = []
    lander, landing = "", ""
    used: dict[str, None] = {}
    news: dict[str, list[Step]] = {}
    for verb, *words in lines:
        if verb == "lander" and len(words) == 2:
            lander, landing = words
        if verb in ("lander", "walk") or "way" not in words:
            continue
        (rover, *what), way = words[: words.index("way")] or [""], words[words.index("way") + 1 :]
        if not way:
            continue
        back = list(pairwise(way))
        steps += [("navigate", rover, start, end) for end, start in reversed(back)]
        here = way[0]
        match verb:
            case "report":
                for kind, *told in news.get(rover, []):
                    steps.append((f"communicate_{kind}_data", rover, lander, *told, here, landing))
                continue
            case "soil" | "rock":
                if rover in used:
                    steps.append(("drop", rover, f"{rover}store"))
                used[rover] = None
                steps.append((f"sample_{verb}", rover, f"{rover}store", here))
                news.setdefault(rover, []).append((verb, here))
            case "calibrate" if len(what) >= 2:
                steps.append(("calibrate", rover, what[0], what[1], here))
            case "image" if len(what) >= 3:
                camera, objective, mode = what[:3]
                steps.append(("take_image", rover, here, objective, camera, mode))
                news.setdefault(rover, []).append(("image", objective, mode))
        steps += [("navigate", rover, start, end) for start, end in back]
    return steps


def _sights(facts: Facts) -> list[str]:
    """The places that see the lander's."""
    landing = facts["at_lander"][0][1]
    return [start for start, end in facts["visible"] if end == landing]


def _ways(facts: Facts, rover: str) -> dict[str, list[str]]:
    """Place -> where this rover can go from there."""
    visible = dict.fromkeys(facts["visible"])
    ways: dict[str, list[str]] = {}
    for who, start, end in facts["can_traverse"]:
        if who == rover and (start, end) in visible:
            ways.setdefault(start, []).append(end)
    return ways


def _walk(ways: dict[str, list[str]], start: str, rng: Rng) -> tuple[list[str], dict[str, str]]:
    """A depth-first walk, with `back` before a place that is returned to; and the place before each place."""
    walk, here = [start], start
    before = {start: ""}
    while here:
        new = [end for end in ways.get(here, []) if end not in before]
        if new:
            there = rng.choice(new)
            before[there] = here
            walk.append(there)
            here = there
        else:
            here = before[here]
            walk += ["back", here] if here else []
    return walk, before


def _way(before: dict[str, str], places: Sequence[str]) -> list[str]:
    """Of the places, the one that the walk comes to first, and the places back from it to the start; or nothing."""
    place = next((place for place in before if place in places), "")
    chain: list[str] = []
    while place:
        chain.append(place)
        place = before[place]
    return chain and ["way", *chain]
