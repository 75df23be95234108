"""A vLLM server of the run's own: how it is started, ended, found to be too old, and started again when it dies."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from helpers.support import TESTS, config_with
from iterdeploy.config import RunConfig
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers import PromptBatch
from iterdeploy.samplers.errors import ServerError
from iterdeploy.samplers.vllm import VllmSampler, _rank, check_version
from iterdeploy.sections import ConfigError
from iterdeploy.types import Completion

LOCAL = config_with({"tasks.deployed": 6, "tasks.held_out": 0, "training.method": "lora"})
BASE = base_policy(model_folder(LOCAL.model))
PROMPTS = [task.prompt for task in PlanningTasks(LOCAL.tasks, 1).deployed(0)]


def test_the_rank_that_vllm_makes_room_for() -> None:
    assert [_rank(config_with({"training.method": "lora", "training.lora_rank": rank})) for rank in (1, 16, 17)] == [
        8,
        16,
        32,
    ]
    with pytest.raises(ConfigError, match="512"):
        _rank(config_with({"training.method": "lora", "training.lora_rank": 1000}))


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """An interpreter that has a package vllm: one with vLLM's command line over the embedded model."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={TESTS / "helpers" / "fake_vllm"}:{TESTS} exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def own_server(python: Path, *arguments: str, restarts: int = 3) -> RunConfig:
    values = LOCAL.model_dump(mode="json")
    values["sampling"] |= {"sampler": "vllm", "max_new_tokens": 10}
    values["server"] |= {"python": str(python), "arguments": arguments, "restarts": restarts, "concurrency": 2}
    return RunConfig.model_validate(values)


def processes_with(word: str) -> list[str]:
    """Command lines, of any process, that hold the word."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it has ended meanwhile
    return [line for line in lines if word in line]


@pytest.mark.slow
def test_a_server_of_our_own_runs_only_while_it_is_used(stand_in: Path) -> None:
    with VllmSampler(BASE, own_server(stand_in)) as one:
        (said,) = one.sample(PROMPTS[:1], 3)
        scored = one.logprobs([(said.prompt_token_ids, said.token_ids)])
        port = f"--port {one._inside._endpoints[0].address.split(':')[-1].removesuffix('/v1')} "
        assert len(processes_with(port)) == 3, "the supervisor, the server and its child"
    assert not processes_with(port)
    assert one.source == "vllm" and scored is not None
    assert said.logprobs == pytest.approx(scored[0], abs=1e-4)
    assert not one._log.exists()


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_with_the_end_of_its_log(stand_in: Path) -> None:
    with pytest.raises(ServerError, match="ended by itself") as caught:
        VllmSampler(BASE, own_server(stand_in, "--fail")).__enter__()
    assert "this is line one\nthere is not enough memory for the cache" in str(caught.value)


def answering(port: str) -> int:
    """The id of the process that serves on the port."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if port.encode() in words and words[1:3] == [b"-m", b"vllm.entrypoints.openai.api_server"]:
                return int(folder.name)
    raise AssertionError(f"nobody serves on {port}")


@pytest.mark.slow
def test_a_server_of_our_own_that_is_killed_is_started_again_and_no_answer_is_lost_or_comes_twice(
    stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batches = [PromptBatch(PROMPTS[i : i + 2], i) for i in range(5)]
    with VllmSampler(BASE, own_server(stand_in, restarts=1)) as untroubled:
        wanted = {answered.index: answered.whole() for answered in untroubled.answers(batches)}
    found: dict[int, list[Completion]] = {}
    with VllmSampler(BASE, own_server(stand_in, restarts=1)) as one:
        for answered in one.answers(batches):
            assert answered.index not in found
            found[answered.index] = answered.whole()
            if len(found) == 1:
                os.kill(answering(one._inside._endpoints[0].address.split(":")[-1].removesuffix("/v1")), signal.SIGKILL)
        assert found == wanted
        assert "starting it again, 1 of at most 1 times" in capsys.readouterr().err
        os.kill(answering(one._inside._endpoints[0].address.split(":")[-1].removesuffix("/v1")), signal.SIGKILL)
        with pytest.raises(ServerError, match=r"started again 1 times, as often as server\.restarts allows"):
            list(one.answers(batches))


def test_a_vllm_that_is_too_old_is_refused_with_its_version() -> None:
    check_version("0.33.0")
    check_version("0.10.2")
    with pytest.raises(ConfigError, match=r"vLLM 0\.9\.1 .* install 0\.10\.2"):
        check_version("0.9.1")
