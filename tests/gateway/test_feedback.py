"""What people say of answers: sent to a real gateway, found in the store, and what curation makes of it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from helpers.serving import Live, config_of, tasks_of
from helpers.support import trace
from iterdeploy.curation.named import find_policies
from iterdeploy.curation.people import latest
from iterdeploy.curation.policies import compose, weigh
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Feedback


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("feedback"), config_of())
    yield live
    said = live.end()
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def asked(live: Live) -> list[str]:
    """Ids of three traces, the last two of one session."""
    prompts = [task.prompt for task in tasks_of(live.config)]
    sessions = ["", "visit", "visit"]
    return [live.ask(prompts[i], session=sessions[i], max_tokens=20).json()["id"] for i in range(3)]


def give(live: Live, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return live.client.post("/v1/feedback", json=body, headers=headers or {})


def stored(live: Live, trace_id: str) -> list[Feedback]:
    store = TraceStore(live.path / "traces.sqlite", read_only=True)
    found = list(store.feedback(trace_id))
    store.close()
    return found


def test_feedback_is_stored_as_it_comes_and_nothing_replaces_it(live: Live, asked: list[str]) -> None:
    first = give(live, trace=asked[0], verdict="publish", user="ann", comment="works")
    again = give(live, {"X-Iterdeploy-Train": "no"}, trace=asked[0], verdict="reject", user="ann", metric={"stars": 2})
    assert first.status_code == again.status_code == 201
    kept, later = stored(live, asked[0])
    assert (kept.id, kept.judgement, kept.comment, kept.consent) == (first.json()["id"], "publish", "works", "train")
    assert (later.id, later.judgement, later.metrics, later.consent) == (
        again.json()["id"],
        "reject",
        {"stars": 2},
        "no",
    )
    assert first.json()["feedback"][0]["validator"]["status"] == live.trace(asked[0]).verdict.status


def test_a_correction_is_kept_apart_from_what_the_model_wrote(live: Live, asked: list[str]) -> None:
    written = live.trace(asked[0]).text
    give(live, trace=asked[0], verdict="correct", correction="(pickup b1)", user="bob")
    assert stored(live, asked[0])[-1].correction == "(pickup b1)" and live.trace(asked[0]).text == written


def test_a_session_is_judged_as_a_whole(live: Live, asked: list[str]) -> None:
    said = give(live, session="visit", verdict="publish", user="ann").json()
    assert [one["trace"] for one in said["feedback"]] == asked[1:]
    assert [stored(live, trace_id)[-1].judgement for trace_id in asked[1:]] == ["publish"] * 2


def test_the_same_feedback_sent_twice_is_stored_once(live: Live, asked: list[str]) -> None:
    before = len(stored(live, asked[0]))
    body = {"trace": asked[0], "verdict": "publish", "user": "eve"}
    with ThreadPoolExecutor() as threads:
        sent = list(threads.map(lambda _: give(live, {"Idempotency-Key": "k"}, **body).json()["id"], range(8)))
    assert len(set(sent)) == 1 and len(stored(live, asked[0])) == before + 1


def test_many_judge_at_once(live: Live, asked: list[str]) -> None:
    with ThreadPoolExecutor(16) as threads:
        sent = list(
            threads.map(lambda i: give(live, trace=asked[1], verdict="publish", user=f"u{i}").json()["id"], range(64))
        )
    assert set(sent) <= {one.id for one in stored(live, asked[1])} and len(set(sent)) == 64


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"trace": "nothing", "verdict": "publish"}, 404),
        ({"session": "nothing", "verdict": "publish"}, 404),
        ({"verdict": "publish"}, 400),
        ({"trace": "x", "session": "y", "verdict": "publish"}, 400),
        ({"trace": "x", "verdict": "like"}, 400),
        ({"trace": "x", "verdict": "correct"}, 400),
        ({"trace": "x", "verdict": "publish", "correction": "y"}, 400),
        ({"trace": "x", "metric": {"stars": 1e400}}, 400),
        ({"trace": "x"}, 400),
        ({"trace": ["x"], "verdict": "publish"}, 400),
    ],
    ids=str,
)
def test_feedback_that_says_nothing_is_refused(live: Live, body: dict[str, Any], status: int) -> None:
    content = str(body).replace("'", '"').replace("inf", "1e400")
    response = live.client.post("/v1/feedback", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status and response.json()["error"]["message"]


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
