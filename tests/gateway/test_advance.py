"""A deployment's generations: made from what people publish, let through by the gate or not, taken back."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from helpers.deployments import OPEN_GATE, acts, advance, answering, command, deployed, pool, publish
from helpers.postgres import Place
from helpers.serving import NAME, Live, tasks_of
from helpers.support import assert_refused, iterdeploy

pytestmark = pytest.mark.slow


def test_what_people_publish_makes_the_next_generation_while_the_old_one_serves(tmp_path: Path, place: Place) -> None:
    live = deployed(tmp_path, **OPEN_GATE, **place.config())
    prompt = tasks_of(live.config)[0].prompt
    published = set(publish(live, range(10)))
    ignored = live.ask(tasks_of(live.config)[12].prompt).json()["id"]
    refused = set(publish(live, range(2), **{"X-Iterdeploy-Train": "no"}))
    served: list[httpx.Response] = []
    going = True

    def keep_asking() -> None:
        while going:
            served.append(live.ask(tasks_of(live.config)[13].prompt, max_tokens=5))

    thread = threading.Thread(target=keep_asking)
    thread.start()
    said = advance(live)
    time.sleep(1)
    going = False
    thread.join()
    assert "generation 1 serves" in said
    assert pool(live, 0) == published - refused and ignored not in pool(live, 0)
    assert {response.status_code for response in served} == {200}, "serving went on"
    assert served[0].headers["x-iterdeploy-generation"] == "0"
    assert answering(live, prompt) == "1"
    assert answering(live, prompt, model=f"{NAME}@g0") == "0"

    command(live, "rollback")
    assert answering(live, prompt) == "0"
    command(live, "canary", 1, "50%")
    assert {answering(live, prompt) for _ in range(40)} == {"0", "1"}
    assert len({answering(live, prompt, session="s") for _ in range(10)}) == 1, "a session stays with one generation"
    command(live, "canary", 1, 0)

    publish(live, range(6))
    assert "generation 2 serves" in advance(live)
    assert pool(live, 1) - published, "the pool is of all generations"
    assert [act.act for act in acts(live)] == [
        "advance",
        "promote",
        "rollback",
        "canary",
        "canary",
        "advance",
        "promote",
    ]
    assert_refused(iterdeploy("rollback", NAME, "--to", 7, "--runs-dir", tmp_path), "no such generation")
    assert_refused(iterdeploy("resume", NAME, "--runs-dir", tmp_path), "advance")
    for reading in ("status", "report"):
        command(live, reading)
    assert "Traceback" not in live.end()


def test_the_gate_keeps_back_what_is_not_shown_to_be_as_good(tmp_path: Path) -> None:
    live = deployed(tmp_path, **{"deployment.margin": 0.0, "training.learning_rate": 1.0, "tasks.held_out": 24})
    prompt = tasks_of(live.config)[0].prompt
    publish(live, range(8))
    said = advance(live, check_exit=3)
    assert "generation 0 serves on" in said and "margin" in said
    assert answering(live, prompt) == "0"
    command(live, "promote", 1)
    assert answering(live, prompt) == "1"
    live.end()


def test_nothing_published_is_said_and_changes_nothing(tmp_path: Path) -> None:
    live = deployed(tmp_path)
    live.ask(tasks_of(live.config)[0].prompt)
    done = iterdeploy("advance", NAME, "--runs-dir", tmp_path)
    assert done.returncode == 3 and "no_traces_to_train_on" in done.stderr
    live.end()


def test_a_deployment_advances_by_itself_when_enough_is_published(tmp_path: Path) -> None:
    live = deployed(tmp_path, **OPEN_GATE, **{"deployment.advance_at": 4})
    publish(live, range(3))
    assert not acts(live)
    publish(live, range(3, 5))
    assert turned(live), (live.path / "advance.log").read_text()
    assert answering(live, tasks_of(live.config)[0].prompt) == "1"
    live.end()


def test_a_deployment_advances_by_itself_at_its_time_of_day(tmp_path: Path) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=75)
    live = deployed(tmp_path, **OPEN_GATE, **{"deployment.advance_daily": f"{moment:%H:%M:%S}"})
    published = set(publish(live, range(3)))
    if datetime.now(UTC) < moment:
        assert not acts(live), "not before its time"
    assert turned(live), (live.path / "advance.log").read_text()
    assert datetime.fromisoformat(acts(live)[0].at) > moment - timedelta(seconds=1)
    assert pool(live, 0) == published
    assert "Traceback" not in live.end()


def turned(live: Live) -> bool:
    """Waits until the gateway has made a generation that serves."""
    for _ in range(600):
        if [act.act for act in acts(live)][-1:] == ["promote"]:
            return True
        time.sleep(0.5)
    return False
