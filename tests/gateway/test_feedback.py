"""What people say of answers: sent to a real gateway, found in the store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from helpers.postgres import Place
from helpers.serving import Live, config_of, tasks_of
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Feedback

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("feedback"), config_of(place.config()))
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
