"""How long a run will still take, as far as its own first answers can tell: said once, when there are enough of them.

Before a run nobody knows how long answers are, and that decides more than anything else (`estimate`). Training is
counted from what the run has trained so far, so before the first time it is named as left out.
"""

import math
import time
from collections.abc import Sequence

from iterdeploy.steps.run import Run
from iterdeploy.types import Trace

ENOUGH = 100
"""Answers."""


class Forecast:
    """Of one phase of sampling. Time counts from the first batch, so that loading a model does not."""

    def __init__(self, run: Run, generation: int) -> None:
        self._run = run
        self._generation = generation
        self._tokens: list[int] = []
        self._first = 0
        self._since = 0.0
        self.said = run.components.forecast_said

    def hear(self, traces: Sequence[Trace], total: int, left: int) -> str | None:
        """What is to be said now that these answers are there, once. `total`: answers of the generation; `left`: those
        of them that are still owed."""
        now = time.monotonic()
        self._tokens += [trace.totals.tokens for trace in traces]
        if not self._since:
            self._since, self._first = now, len(self._tokens)
        counted = len(self._tokens) - self._first
        if self.said or len(self._tokens) < ENOUGH or not counted:
            return None
        self.said.append(self._generation)
        per_answer = (now - self._since) / counted
        later = self._run.config.generations - self._generation
        return forecast(self._tokens, per_answer, left + later * total, self._training(), later)

    def _training(self) -> float | None:
        """Seconds of one training phase so far; None before the first."""
        spent = [activities.get("training", 0.0) for activities in self._run.store.seconds().values()]
        known = [seconds for seconds in spent if seconds]
        return math.fsum(known) / len(known) if known else None


def forecast(tokens: Sequence[int], per_answer: float, answers: int, training: float | None, phases: int) -> str:
    """In words. `per_answer`: seconds; `answers`: those still owed in all generations; `training`: seconds of one
    phase, of which `phases` are left.

    >>> forecast([80] * 100, 0.5, 1200, None, 5)
    'after 100 answers of 80 tokens on average: about 10 min left for 1,200 answers, and the training'
    >>> forecast([80] * 100, 0.5, 7200, 1800.0, 2)
    'after 100 answers of 80 tokens on average: about 2.0 h left, 60 min of it training'
    """
    mean = f"after {len(tokens):,} answers of {sum(tokens) / len(tokens):,.0f} tokens on average"
    sampling = per_answer * answers
    if training is None:
        return f"{mean}: about {_time(sampling)} left for {answers:,} answers" + (
            ", and the training" if phases else ""
        )
    return f"{mean}: about {_time(sampling + training * phases)} left, {_time(training * phases)} of it training"


def _time(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:,.1f} h" if seconds < 36_000 else f"{seconds / 3600:,.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
