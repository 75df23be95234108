"""What the verdict claims, and from what: answers to the same tasks, one by one."""

from collections.abc import Sequence

import pytest

from iterdeploy.metrics.results import TaskResult
from iterdeploy.report.facts.verdict import Claim, outcome


def of(generation: int, solved: Sequence[bool], split: str = "held_out", **other: float) -> list[TaskResult]:
    """One task for each entry, of sizes 3, 4, 5, 6, 3, ..."""
    return [
        TaskResult(generation, split, "d", 3 + i % 4, f"{split}{i}", valid, 1, **other)
        for i, valid in enumerate(solved)
    ]


def first(count: int, tasks: int = 200) -> list[bool]:
    """The first `count` tasks are solved."""
    return [i < count for i in range(tasks)]


@pytest.mark.parametrize(
    ("solved", "claim", "words"),
    [
        (
            (20, 60, 120),
            Claim.IMPROVED,
            ["improved from 10.0% [", "to 60.0% [", "in generation 2, by +50.0 points [", "100 tasks gained and 0 lost",
             "(p < 0.0001)", "The frontier went from 6 [none, 6 or more] to 6 [6, 6 or more]"],
        ),
        ((100, 104), Claim.NONE, ["went from 50.0% [", "by +2.0 points [", "4 tasks gained and 0 lost (p = 0.12)"]),
        ((20, 150, 21), Claim.NONE, ["from 10.0%", "to 10.5%"]),  # not the best one
        ((120, 20), Claim.WORSE, ["fell from 60.0%", "to 10.0%", "by -50.0 points [", "got worse"]),
        ((80,), Claim.NONE, ["40.0% [", "a frontier of 6", "no later generation"]),
        ((0, 100), Claim.IMPROVED, ["from 0.0% [0.0%, ", "to 50.0%", "from none [none, none] to 6"]),
        ((0, 0), Claim.NONE, ["from 0.0%", "to 0.0%", "(p = 1)"]),
    ],
)  # fmt: skip
def test_the_verdict(solved: Sequence[int], claim: Claim, words: Sequence[str]) -> None:
    found = outcome([row for generation, count in enumerate(solved) for row in of(generation, first(count))], 1.0)
    assert found.claim is claim
    assert not [word for word in words if word not in found.sentence], found.sentence
    assert ("no improvement can be claimed" in found.sentence) is (claim is not Claim.IMPROVED)
    assert found.sentence.endswith(".") and "\n" not in found.sentence and "temperature" not in found.sentence


def test_intervals_that_overlap_are_no_reason_to_see_no_improvement() -> None:
    """Generations 2 and 4 of the demo: 61.2% [56.9%, 65.4%] and 69.4% [65.2%, 73.3%] of the same 500 tasks."""
    before = [True] * 264 + [False] * 83 + [True] * 42 + [False] * 111
    after = [True] * 264 + [True] * 83 + [False] * 42 + [False] * 111
    found = outcome([*of(2, before), *of(3, first(0, 500)), *of(4, after)], 1.0, first=2)
    assert found.claim is Claim.IMPROVED
    assert "61.2% [56.9%, 65.4%] in generation 2 to 69.4% [65.2%, 73.3%] in generation 4" in found.sentence
    assert "by +8.2 points [+3.8, +12.5], with 83 tasks gained and 42 lost (p = 0.0003)" in found.sentence
    assert outcome([*of(2, before), *of(3, before), *of(4, after)], 1.0, first=2, last=3).claim is Claim.NONE


def test_the_same_totals_with_other_tasks_are_another_verdict() -> None:
    """100 and 120 of 200: 20 tasks gained and none lost, or 100 gained and 80 lost."""
    steady, churning = first(120), [i >= 80 for i in range(200)]
    assert outcome([*of(0, first(100)), *of(1, steady)], 1.0).claim is Claim.IMPROVED
    assert outcome([*of(0, first(100)), *of(1, churning)], 1.0).claim is Claim.NONE


def test_what_was_measured_at_a_lower_temperature_is_said_and_claims_nothing() -> None:
    rows = [*of(0, first(100)), *of(1, first(101))]
    for generation, count in ((0, 110), (1, 180)):
        rows += of(generation, first(count), temperature=0.0) + of(generation, first(50), temperature=0.6)
    found = outcome(rows, 1.0)
    assert found.claim is Claim.NONE and "0.6" not in found.sentence
    assert "At temperature 0, coverage went from 55.0%" in found.sentence
    assert "70 tasks gained and 0 lost" in found.sentence and "and the frontier from 6" in found.sentence


@pytest.mark.parametrize("solved", [(10,), (10, 190)])
def test_without_held_out_tasks_nothing_is_claimed(solved: Sequence[int]) -> None:
    found = outcome([row for g, count in enumerate(solved) for row in of(g, first(count), "deployed")], 1.0)
    assert found.claim is Claim.NONE
    assert "There are no held-out tasks, so no improvement can be claimed" in found.sentence
    assert "5.0% [" in found.sentence and "deployed tasks" in found.sentence


def test_nothing_measured_yet() -> None:
    assert outcome([], 1.0).claim is Claim.NONE
