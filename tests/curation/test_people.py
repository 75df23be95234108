"""Curation by what people said: who publishes, how many, and never too much of one of them."""

from collections.abc import Sequence

import pytest

from helpers.support import trace
from iterdeploy.curation.named import find_policies
from iterdeploy.curation.people import latest
from iterdeploy.curation.policies import compose, weigh
from iterdeploy.types import Feedback


def said(trace_id: str, user: str, judgement: str, consent: str = "train") -> Feedback:
    return Feedback(f"{trace_id}-{user}-{judgement}", trace_id, user, judgement, None, {}, "", "2026-01-01", consent)


def kept(policies: Sequence[str], judgements: Sequence[tuple[int, str, str]], count: int = 6) -> set[int]:
    """Which of so many traces the policies keep; judgements: (trace, user, judgement or "no consent")."""
    traces = [trace(f"t{i}") for i in range(count)]
    feedback = latest(
        said(traces[i].id, user, judgement.removeprefix("silent "), "no" if "silent" in judgement else "train")
        for i, user, judgement in judgements
    )
    found = compose(find_policies(policies))(weigh(traces, lambda _: (), feedback))
    return {traces.index(weighted.trace) for weighted in found}


def test_published_is_what_more_users_publish_than_reject() -> None:
    judgements = [
        (0, "ann", "publish"),
        (1, "ann", "publish"), (1, "bob", "reject"),
        (2, "ann", "publish"), (2, "bob", "correct"), (2, "eve", "publish"),
        (3, "ann", "publish"), (3, "ann", "reject"),
        (4, "ann", "reject"), (4, "ann", "publish"), (4, "ann", "metric"),
        (5, "ann", "silent publish"),
    ]  # fmt: skip
    assert kept(["published"], judgements) == {0, 2, 4}


def test_curators_are_counted_and_trusted_by_name() -> None:
    judgements = [(0, "ann", "publish"), (0, "bob", "publish"), (1, "ann", "publish"), (2, "eve", "publish")]
    assert kept(["min_curators(2)"], judgements) == {0}
    assert kept(["published", "trusted(bob, eve)"], judgements) == {0, 2}


@pytest.mark.parametrize("share", [0.5, 0.34, 0.25])
def test_no_user_has_more_than_the_share_of_what_is_kept(share: float) -> None:
    judgements = [(i, "mallory" if i < 30 else f"u{i % 5}", "publish") for i in range(40)]
    found = kept(["published", f"at_most_per_user({share})"], judgements, count=40)
    by_mallory = sum(i < 30 for i in found)
    assert 0 < by_mallory <= share * len(found)
    assert len(found) - by_mallory == 10, "nobody else loses anything"


def test_two_who_publish_the_same_share_it_and_one_alone_may_not_have_it_all() -> None:
    both = [(i, user, "publish") for i in range(6) for user in ("ann", "bob")]
    assert len(kept(["at_most_per_user(0.5)"], both)) == 6
    assert kept(["at_most_per_user(0.5)"], [(i, "ann", "publish") for i in range(6)]) == set()
