"""Did the loop work? One sentence, from the measured numbers alone.

Improvement is claimed only for held-out tasks, only from generation 0 to the last one measured (not the best one), and
only when the two 95% intervals do not overlap. That is stricter than a test at the 5% level, and anyone can check it by
looking at the figure.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Claim(StrEnum):
    IMPROVED = "Held-out coverage improved"
    WORSE = "Held-out coverage fell"
    NONE = "No improvement can be claimed"


@dataclass(frozen=True, slots=True)
class Outcome:
    claim: Claim
    sentence: str


def outcome(metrics: Sequence[Mapping[str, Any]]) -> Outcome:
    """What the metrics of generation 0, 1, ... (the content of their metrics.json) allow to claim."""
    if not metrics:
        return Outcome(Claim.NONE, "Nothing has been measured yet, so no improvement can be claimed.")
    first, last = metrics[0]["held_out"], metrics[-1]["held_out"]
    if first is None or last is None:
        return Outcome(Claim.NONE, _without_held_out(metrics))
    on = f"On {first['tasks']:,} held-out tasks"
    if len(metrics) == 1:
        sentence = f"{on}, generation 0 has a coverage of {told(first)}; there is no later generation to compare with,"
        return Outcome(Claim.NONE, f"{sentence} so no improvement can be claimed.")

    def went(verb: str) -> str:
        return f"{on}, coverage {verb} from {told(first)} in generation 0 to {told(last)} in generation {last_number}"

    last_number = metrics[-1]["generation"]
    ratio = _ratio(first["coverage"], last["coverage"])
    if last["interval"][0] > first["interval"][1]:
        return Outcome(Claim.IMPROVED, f"{went('improved')}{ratio}: the 95% intervals do not overlap.")
    if last["interval"][1] < first["interval"][0]:
        sentence = f"{went('fell')}{ratio}: the 95% intervals do not overlap, so the model got worse and"
        return Outcome(Claim.WORSE, f"{sentence} no improvement can be claimed.")
    return Outcome(
        Claim.NONE, f"{went('went')}{ratio}, but the 95% intervals overlap, so no improvement can be claimed."
    )


def state_sentence(state: Mapping[str, Any], measured: int, generations: int, name: str) -> str:
    """How the run stands: `state` as `RunDir.state` gives it, `measured` of `generations` + 1 generations measured."""
    so_far = f"{measured} of {generations + 1} generations {'is' if measured == 1 else 'are'} measured"
    match state["state"]:
        case "complete":
            return "The run is complete."
        case "running":
            return f"The run is not finished: it is still going on, {so_far}."
        case "interrupted":
            resume = shlex.join(["iterdeploy", "resume", name])
            return f"The run is not finished: it was interrupted, {so_far}; `{resume}` continues it."
        case other:
            return f"The run is not finished: it stopped by itself ({other}), {so_far}. {state['reason']}"


def told(coverage: Mapping[str, Any]) -> str:
    """
    >>> told({"coverage": 0.5, "interval": [0.403, 0.597]})
    '50.0% [40.3%, 59.7%]'
    """
    low, high = coverage["interval"]
    return f"{coverage['coverage']:.1%} [{low:.1%}, {high:.1%}]"


def _ratio(first: float, last: float) -> str:
    return f", a factor of {last / first:.2f}" if first else ""


def _without_held_out(metrics: Sequence[Mapping[str, Any]]) -> str:
    sentence = "There are no held-out tasks, so no improvement can be claimed"
    first, last = metrics[0]["deployed"], metrics[-1]["deployed"]
    if len(metrics) == 1:
        return f"{sentence}; generation 0 has a coverage of {told(first)} on the deployed tasks."
    return (
        f"{sentence}; on the deployed tasks, whose valid answers train the model, coverage went from {told(first)} in "
        f"generation 0 to {told(last)} in generation {metrics[-1]['generation']}."
    )
