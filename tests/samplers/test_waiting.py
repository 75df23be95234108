"""How long a server is waited for, and whole runs over one that misbehaves, from the command line."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

import iterdeploy.samplers.client as client_module
from helpers.misbehaving import Server
from helpers.server_runs import SETTINGS, Deployment, assert_no_key, assert_nothing_of_the_key_in, impatient
from helpers.support import values_with, write_config
from helpers.wrong_replies import SLOW, WHOLE, silent, status
from iterdeploy.config import RunConfig
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.samplers.errors import ServerError
from iterdeploy.samplers.openai import OpenAiSampler

Cli = Callable[..., Any]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with impatient(monkeypatch) as running:
        yield running


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
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_ends_a_run_at_once_while_all_answers_are_awaited(
    server: Server, run_cli: Cli, tmp_path: Path, number: signal.Signals, status: int
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
    assert process.returncode == status and "iterdeploy resume" in told
    server.heal()
    server.over.set()
    run_cli("resume", "tiny", "--runs-dir", tmp_path / "runs")
    assert set(server.tries.values()) == {1, 2}, "what was stored was not asked for again"
