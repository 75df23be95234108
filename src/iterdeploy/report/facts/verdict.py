"""Did the loop work? A sentence or two, from the answers to held-out tasks alone.

An improvement is claimed from the first generation to the last one measured (not the best one), where the two answers
to each task differ more often for the better than chance explains: see `metrics.paired`.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from iterdeploy.metrics.paired import CHANCE, Paired
from iterdeploy.metrics.results import TaskResult, solved
from iterdeploy.metrics.standing import Standing, standings
from iterdeploy.metrics.words import chance, exchanged, points, share, sizes
from iterdeploy.record.outputs import State


class Claim(StrEnum):
    IMPROVED = "Held-out coverage improved"
    WORSE = "Held-out coverage fell"
    NONE = "No improvement can be claimed"


@dataclass(frozen=True, slots=True)
class Outcome:
    claim: Claim
    sentence: str


def outcome(results: Sequence[TaskResult], temperature: float, first: int = 0, last: int | None = None) -> Outcome:
    """What the answers of the generations `first` and `last`, by default the last one, allow to claim.

    `temperature`: of the run's own answers, from which alone the claim follows. What both generations can do at the
    lowest other temperature that they were measured at is said besides.
    """
    if not results:
        return Outcome(Claim.NONE, "Nothing has been measured yet, so no improvement can be claimed.")
    last = max(row.generation for row in results) if last is None else last
    found = standings(results, temperature, against=first)
    before, after = ({one.temperature: one for one in found if one.generation == which} for which in (first, last))
    if temperature not in before or temperature not in after:
        return Outcome(Claim.NONE, _without_held_out(results, first, last))
    then, now = before[temperature], after[temperature]
    on = f"On {now.tasks:,} held-out tasks"
    if now.paired is None:
        only = f"{on}, generation {first} has a coverage of {share(then.coverage)} and a frontier of"
        return Outcome(Claim.NONE, f"{only} {sizes(then.frontiers)}{MEANING}; {_NOTHING_LATER}.")
    claim = _claim(now.paired)
    sentences = [
        f"{on}, coverage {_VERB[claim]} {_from_to(then, now, now.paired)}{_CONSEQUENCE[claim]}.",
        f"The frontier went from {sizes(then.frontiers)} to {sizes(now.frontiers)}{MEANING}.",
    ]
    for other in sorted(before.keys() & after.keys() - {temperature})[:1]:
        then, now = before[other], after[other]
        if now.paired is not None:
            changed = f"coverage went {_from_to(then, now, now.paired)}"
            frontiers = f"from {sizes(then.frontiers)} to {sizes(now.frontiers)}"
            sentences.append(f"At temperature {other:g}, {changed}, and the frontier {frontiers}.")
    return Outcome(claim, " ".join(sentences))


MEANING = " (the largest size with a tenth solved)"
_NOTHING_LATER = "there is no later generation to compare with, so no improvement can be claimed"
_VERB = {Claim.IMPROVED: "improved", Claim.WORSE: "fell", Claim.NONE: "went"}
_CONSEQUENCE = {
    Claim.IMPROVED: "",
    Claim.WORSE: ": the model got worse, so no improvement can be claimed",
    Claim.NONE: ": chance may explain that, so no improvement can be claimed",
}


def state_sentence(state: State, measured: int, generations: int, name: str) -> str:
    """How the run stands: `measured` of `generations` + 1 generations measured."""
    so_far = f"{measured} of {generations + 1} generations {'is' if measured == 1 else 'are'} measured"
    match state.name:
        case "complete":
            return "The run is complete."
        case "running":
            return f"The run is not finished: it is still going on, {so_far}."
        case "interrupted":
            resume = shlex.join(["iterdeploy", "resume", name])
            return f"The run is not finished: it was interrupted, {so_far}; `{resume}` continues it."
        case other:
            return f"The run is not finished: it stopped by itself ({other}), {so_far}. {state.reason}"


def _claim(change: Paired) -> Claim:
    if change.p >= CHANCE:
        return Claim.NONE
    return Claim.IMPROVED if change.difference > 0 else Claim.WORSE


def _from_to(then: Standing, now: Standing, change: Paired) -> str:
    ends = f"from {share(then.coverage)} in generation {then.generation} to {share(now.coverage)}"
    by = f"by {points(change.difference, change.interval)}, with {exchanged(change)} ({chance(change.p)})"
    return f"{ends} in generation {now.generation}, {by}"


def _without_held_out(results: Sequence[TaskResult], first: int, last: int) -> str:
    sentence = "There are no held-out tasks, so no improvement can be claimed"
    before, after = (solved(row for row in results if row.generation == which) for which in (first, last))
    if before is None or after is None or first == last:
        covered = "" if before is None else f"; generation {first} has a coverage of {share(before)}"
        return f"{sentence}{covered} on the deployed tasks."
    return (
        f"{sentence}; on the deployed tasks, whose valid answers train the model, coverage went from {share(before)} "
        f"in generation {first} to {share(after)} in generation {last}."
    )
