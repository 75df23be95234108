"""Servers that misbehave, over real connections: a run goes on without the one answer, or ends with one clear error;
nothing wrong is stored, no key is shown, and it can be resumed.

Every way to go wrong is tried on one request, the first or a later one, and on all, from the beginning or later.
"""

import io
import json
import math
import re
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import iterdeploy.samplers.client as client_module
from helpers.misbehaving import (
    KEY,
    NOT_ANSWERS,
    NOT_HTTP,
    ONE,
    ONLY_LATER,
    SLOW,
    VOCABULARY,
    WHOLE,
    Server,
    changed,
    misbehaving,
    said,
    silent,
    status,
)
from helpers.support import values_with, whole_traces, write_config
from iterdeploy.config import RunConfig
from iterdeploy.console.progress import Display
from iterdeploy.deployment import served_policy
from iterdeploy.deployment.deploy import ask, deploy
from iterdeploy.deployment.sampled import Sampled
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers import Failed, PromptBatch
from iterdeploy.samplers.errors import ServerError
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.steps.components import assemble
from iterdeploy.steps.run import Run
from iterdeploy.steps.stops import Stopped
from iterdeploy.types import Status, Trace

Cli = Callable[..., Any]

ANSWERS = 12
RETRIES = 1
SETTINGS: dict[str, Any] = {
    "generations": 0,
    "tasks.deployed": 6,
    "tasks.held_out": 0,
    "sampling.sampler": "openai",
    "sampling.batch_size": 2,
    "server.concurrency": 2,
    "server.timeout": 2.5,
    "server.retries": RETRIES,
    "server.key_variable": "MYCRED",
}
FAST = {"choices null", "a token after the last", "a logprob NaN", "HTML", "deep", "endless chunks",
        "the key in a header", "429 with a date", "status 400", "status 401", "the key in base64", "half a body",
        "another model", "token_ids too many", "the key in a status"}  # fmt: skip
"""Tried every time; the others are among the slow tests."""


def cases(table: dict[str, Any]) -> list[Any]:
    return [pytest.param(name, id=name, marks=[] if name in FAST else pytest.mark.slow) for name in table]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server, and a client that knows the key and is not patient for long. The server cannot score given text, so
    nothing would come of a model that is loaded to compare the two."""
    monkeypatch.setattr(served_policy, "policy_logprobs", lambda policy, rows, config: [])
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(client_module, "SILENCE", 1.5)
    monkeypatch.setenv("MYCRED", KEY)
    with misbehaving() as running:
        yield running


class Deployment:
    """Generation 0 of a run over the server, as `collect` makes it."""

    def __init__(self, server: Server, folder: Path, **settings: Any) -> None:
        values = values_with({**SETTINGS, "server.address": server.address, **settings})
        self.parts = assemble(RunConfig.model_validate(values))
        self.store = TraceStore(folder / "traces.sqlite")
        self.folder = folder

    def go(self) -> dict[tuple[str, int], Trace]:
        """All that is stored in the end, once the generation has been gone through."""
        display = Display(Console(file=io.StringIO()))
        requests = ask(self.parts.tasks.deployed(0), 2)
        run = Run(SimpleNamespace(store=self.store), self.parts, display)  # type: ignore[arg-type]
        deploy(self.parts.base, requests, Sampled(run), run)
        return self.stored()

    def stored(self) -> dict[tuple[str, int], Trace]:
        return {(one.task_id, one.sample_index): one for one in whole_traces(self.store)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Trace]:
    """What a server without fault makes of the run."""
    with misbehaving() as server:
        return Deployment(server, tmp_path_factory.mktemp("undisturbed"), **{"server.key_variable": ""}).go()


def assert_right(stored: dict[tuple[str, int], Trace], undisturbed: dict[tuple[str, int], Trace]) -> list[Trace]:
    """Every trace that has an answer has the right one; those without come back."""
    errors = []
    for key, trace in stored.items():
        if trace.verdict.status is Status.ERROR:
            (said,) = trace.completions
            assert (said.text, said.token_ids, said.logprobs, said.finish_reason) == ("", (), None, "error")
            assert trace.verdict.reason and len(trace.verdict.reason) < 700 and trace.verdict.reason.isprintable()
            errors.append(trace)
        else:
            assert trace.completions == undisturbed[key].completions
    return errors


def assert_no_key(text: str) -> None:
    """Not in any form: letters and digits alone, whatever stands between them."""
    seen = re.sub(r"[^a-z0-9]", "", text.lower())
    assert "998877" not in seen and "keyofa" not in seen and "formof" not in seen, text
    inside = b64encode(KEY.encode()).decode()[4:-8]
    assert inside not in text


def assert_nothing_of_the_key_in(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or b"998877" not in path.read_bytes(), path


def test_the_server_of_these_tests_behaves_when_it_should(undisturbed: dict[tuple[str, int], Trace]) -> None:
    assert len(undisturbed) == ANSWERS
    assert len({trace.completions[0].token_ids for trace in undisturbed.values()}) == ANSWERS
    for trace in undisturbed.values():
        assert trace.verdict.status is not Status.ERROR
        assert all(0 <= token < VOCABULARY for token in trace.completions[0].token_ids)
        assert trace.completions[0].logprobs is not None and all(value <= 0 for value in trace.completions[0].logprobs)


def test_there_are_as_many_ways_to_go_wrong_as_are_tried() -> None:
    assert len(ONE) + len(ONLY_LATER) + len(WHOLE) > 250


@pytest.mark.parametrize("only", [pytest.param(0, id="first", marks=pytest.mark.slow), pytest.param(7, id="later")])
@pytest.mark.parametrize("name", cases({**ONE, **ONLY_LATER}))
def test_one_request_that_is_answered_wrongly_is_an_error_and_the_run_goes_on(
    server: Server,
    undisturbed: dict[tuple[str, int], Trace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    only: int,
) -> None:
    server.wrong, server.only = {**ONE, **ONLY_LATER}[name], only
    run = Deployment(server, tmp_path)
    stored = run.go()
    assert stored.keys() == undisturbed.keys()
    (error,) = assert_right(stored, undisturbed)
    told = capsys.readouterr().err
    warnings = [line for line in told.splitlines() if "counts as an error" in line]
    assert len(warnings) == 1 and error.verdict.reason in warnings[0]
    assert_no_key(told + error.verdict.reason)
    run.store.close()
    assert_nothing_of_the_key_in(tmp_path)

    asked = server.asked
    server.heal()
    again = Deployment(server, tmp_path)
    assert again.go() == stored and server.asked == asked, "what has a verdict is not asked for again"


@pytest.mark.parametrize(
    "after", [pytest.param(0, id="from the beginning", marks=pytest.mark.slow), pytest.param(4, id="later")]
)
@pytest.mark.parametrize("name", cases(WHOLE))
def test_a_server_that_answers_nobody_ends_the_run_with_one_error(
    server: Server,
    undisturbed: dict[tuple[str, int], Trace],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    after: int,
) -> None:
    server.wrong, server.after = WHOLE[name], after
    run = Deployment(server, tmp_path)
    with pytest.raises(ServerError) as caught:
        run.go()
    told = str(caught.value)
    assert server.address in told and told.isprintable() and len(told) < 1500
    assert_no_key(told + capsys.readouterr().err)
    before = run.stored()
    assert not assert_right(before, undisturbed), "nothing is laid at the door of one request"
    assert len(before) < ANSWERS
    run.store.close()
    assert_nothing_of_the_key_in(tmp_path)

    server.heal()
    assert Deployment(server, tmp_path).go() == undisturbed


@pytest.mark.parametrize("name", cases({**NOT_ANSWERS, **NOT_HTTP, **SLOW}))
def test_a_list_of_models_that_is_none_ends_the_run_with_one_error(
    server: Server, tmp_path: Path, name: str, undisturbed: dict[tuple[str, int], Trace]
) -> None:
    server.models = {**NOT_ANSWERS, **NOT_HTTP, **SLOW}[name]
    run = Deployment(server, tmp_path)
    with pytest.raises(ServerError) as caught:
        run.go()
    assert_no_key(str(caught.value))
    server.heal()
    assert run.go() == undisturbed


@pytest.mark.parametrize("listed", ['{"data": []}', '{"data": null}', '{"data": [{}]}', '{"data": [{"id": 5}]}', "[]"])
def test_a_list_without_a_model_ends_the_run(server: Server, tmp_path: Path, listed: str) -> None:
    server.models = said(listed)
    with pytest.raises(ServerError, match="not what was asked for"):
        Deployment(server, tmp_path).go()


@pytest.mark.parametrize("name", ONLY_LATER)
def test_what_a_server_never_had_is_gone_without_after_one_warning(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    server.wrong = ONLY_LATER[name]
    stored = Deployment(server, tmp_path).go()
    assert len(stored) == ANSWERS
    told = capsys.readouterr().err
    assert told.count("warning") in (1, 2)
    assert_no_key(told)
    for trace in stored.values():
        assert trace.verdict.status is not Status.ERROR
        assert (trace.completions[0].logprobs is None) == ("model" not in name)


@pytest.mark.parametrize("answer", [KEY, f"(pickup {KEY})"])
def test_an_answer_that_holds_the_key_is_not_stored(server: Server, tmp_path: Path, answer: str) -> None:
    """It comes from a server without token ids, whose text is what is stored."""
    server.wrong = changed(token_ids=..., logprobs=..., text="(pickup b1)")
    run = Deployment(server, tmp_path, **{"sampling.max_errors": 1.0})
    with run.parts.sampler(run.parts.base) as sampler:
        assert sampler.source == "openai (re-tokenised)"
        server.wrong = changed(token_ids=..., logprobs=..., text=answer)
        (only,) = sampler.answers([PromptBatch(["a", "b"], 1)])
    assert all(isinstance(failed, Failed) and "holds the key" in failed.reason for failed in only.completions)


def test_errors_above_the_limit_stop_the_run_and_those_beyond_it_are_asked_for_again(
    server: Server, undisturbed: dict[tuple[str, int], Trace], tmp_path: Path
) -> None:
    """A server that answers the short request alone: of 12 answers one or two may be errors, not a third."""
    server.wrong, server.only = changed(choices=None), None
    server.only_answers = True
    run = Deployment(server, tmp_path)
    with pytest.raises(Stopped, match=r"sampling\.max_errors = 0\.1 .*choices") as caught:
        run.go()
    assert caught.value.state == "too_many_errors"
    stored = run.stored()
    assert len(stored) == 2 == len(assert_right(stored, undisturbed))
    with pytest.raises(Stopped):
        run.go()
    assert run.stored() == stored

    server.heal()
    final = run.go()
    assert final.keys() == undisturbed.keys() and len(assert_right(final, undisturbed)) == 2


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_how_many_errors_are_allowed_is_configured(server: Server, tmp_path: Path, limit: float) -> None:
    server.wrong, server.only = changed(choices=None), 3
    run = Deployment(server, tmp_path, **{"sampling.max_errors": limit})
    if limit:
        assert len(run.go()) == ANSWERS
    else:
        with pytest.raises(Stopped):
            run.go()


def test_a_server_that_goes_away_ends_the_run_and_lays_it_at_the_door_of_no_request(
    undisturbed: dict[tuple[str, int], Trace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(served_policy, "policy_logprobs", lambda policy, rows, config: [])
    with misbehaving() as server:
        run = Deployment(server, tmp_path, **{"server.key_variable": ""})
        with run.parts.sampler(run.parts.base) as sampler:
            found = sampler.answers([PromptBatch(["a"], seed) for seed in range(300)])
            next(found)
            server.leave()
            with pytest.raises(ServerError, match="away"):
                for answered in found:
                    answered.whole()


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("0", 0, 0), ("2.5", 2.5, 2.5), ("-3", 0, 0), ("nan", 0, 0), ("soon", 0, 0), ("", 0, 0), (None, 0, 0),
        ("1e400", math.inf, math.inf), ("Fri, 31 Dec 1999 23:59:59 GMT", 0, 0), ("Fri, 99 Dec 2099 00:00:00", 0, 0),
    ],
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(header: str | None, low: float, high: float) -> None:
    assert low <= client_module.seconds_to_wait(header) <= high


def test_a_server_may_say_until_when_to_wait() -> None:
    for then in (in_an_hour(), in_an_hour().removesuffix(" +0000")):
        assert 3500 < client_module.seconds_to_wait(then) <= 3600


def test_what_a_server_asks_to_wait_is_waited_for_but_no_longer_than_a_minute(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(client_module, "LONGEST_PAUSE", 60.0)
    monkeypatch.setattr(client_module, "sleep", noted)
    for asked, waited in (("7", 7), ("90000", 60), (in_an_hour(), 60)):
        server.wrong = status("429 Told", f"Retry-After: {asked}")
        with pytest.raises(ServerError, match="429"):
            Deployment(server, tmp_path, **{"server.retries": 2}).go()
        assert pauses == [waited, waited]
        pauses.clear()


@pytest.mark.slow
def test_an_answer_that_is_too_slow_is_asked_for_once_more_and_no_oftener(server: Server, tmp_path: Path) -> None:
    server.wrong, server.only = SLOW["never"], 0
    run = Deployment(server, tmp_path, **{"server.retries": 5, "server.concurrency": 1})
    run.go()
    assert server.tries[server.seeds[0]] == 2


def test_the_time_for_an_answer_grows_with_the_tokens_that_it_may_have(server: Server, tmp_path: Path) -> None:
    """A thousandth of a second for 8,192 tokens is none at all; a second for a thousand times as many is some."""
    for tokens, enough in ((80, False), (8192 * 1000, True)):
        config = RunConfig.model_validate(
            values_with({**SETTINGS, "server.address": server.address, "server.timeout": 0.001,
                         "sampling.max_new_tokens": tokens})
        )  # fmt: skip
        sampler = OpenAiSampler(base_policy(model_folder(config.model)), config)
        if enough:
            with sampler:
                continue
        with pytest.raises(ServerError, match=r"longer than 0\.001 seconds"):
            sampler.__enter__()


def config_file(server: Server, folder: Path, **settings: Any) -> Path:
    server.without_logprobs = True
    return write_config(folder, {**SETTINGS, "server.address": server.address, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the key in base64", "the key in a status"])
def test_the_command_line_ends_with_one_sentence_without_the_key_and_resumes(
    server: Server, run_cli: Cli, tmp_path: Path, name: str
) -> None:
    server.wrong, server.after = WHOLE[name], 4
    path = config_file(server, tmp_path)
    done = run_cli("run", path, "--runs-dir", tmp_path / "runs", check_exit=2)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"iterdeploy: {server.address}") and "iterdeploy resume" in last
    assert_no_key(done.stdout + done.stderr)
    assert_nothing_of_the_key_in(tmp_path)
    server.heal()
    done = run_cli("resume", "tiny", "--runs-dir", tmp_path / "runs")
    state = json.loads(run_cli("status", "tiny", "--json", "--runs-dir", tmp_path / "runs").stdout)
    assert state["state"] == "complete" and "counts as an error" not in done.stderr


@pytest.mark.slow
def test_a_whole_run_goes_on_without_one_answer(server: Server, run_cli: Cli, tmp_path: Path) -> None:
    server.wrong, server.only = WHOLE["choices null"], 3
    path = config_file(server, tmp_path, **{"tasks.held_out": 2, "sampling.max_truncated": 1.0})
    done = run_cli("run", path, "--runs-dir", tmp_path / "runs")
    assert done.stderr.count("counts as an error") == 1
    metrics = json.loads((tmp_path / "runs" / "tiny" / "generation-0" / "metrics.json").read_text())
    assert metrics["verdicts"]["error"] == 1
    asked = server.asked
    run_cli("resume", "tiny", "--runs-dir", tmp_path / "runs")
    assert server.asked == asked


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_at_once_while_all_answers_are_awaited(
    server: Server, run_cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    server.wrong, server.after = silent(), 4
    path = config_file(server, tmp_path, **{"server.timeout": 600.0})
    command = [sys.executable, "-m", "iterdeploy", "run", str(path), "--runs-dir", str(tmp_path / "runs")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while server.asked < 7 and time.monotonic() < deadline:  # the short one, four that are answered, two that are not
        time.sleep(0.05)
    process.send_signal(number)
    began = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - began < 30 and "Traceback" not in told
    assert process.returncode in (130, -number, 128 + number)
    server.heal()
    server.over.set()
    run_cli("resume", "tiny", "--runs-dir", tmp_path / "runs")
    assert set(server.tries.values()) == {1, 2}, "what was stored was not asked for again"
