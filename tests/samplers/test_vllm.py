"""With a real vLLM, in an environment of its own: ITERDEPLOY_VLLM_PYTHON names its interpreter (`make test-vllm`).

Its CPU build is enough. Starting a server takes about a minute, so there are as few as can be: a run of two generations
that is killed once and whose model is taken away, and one server in bfloat16 whose answers are held against those of
the in-process sampler.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, trace, write_config
from iterdeploy.config import RunConfig
from iterdeploy.metrics.coverage import coverage_of_splits
from iterdeploy.metrics.records import Coverage
from iterdeploy.models.loading import base_policy, load, model_folder
from iterdeploy.models.scoring import token_logprobs
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers import PromptBatch
from iterdeploy.samplers.openai import OpenAiSampler
from iterdeploy.samplers.protocol import Sampler
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.samplers.vllm import VllmSampler
from iterdeploy.steps.components import assemble
from iterdeploy.training.trainer import read_policy
from iterdeploy.types import Completion, Policy, Trace, Verdict

pytestmark = pytest.mark.skipif("ITERDEPLOY_VLLM_PYTHON" not in os.environ, reason="ITERDEPLOY_VLLM_PYTHON is not set")

SERVER = {"sampling.sampler": "vllm", "server.concurrency": 64,
          "server.arguments": ["--max-model-len", "1024", "--enforce-eager", "--no-enable-chunked-prefill",
                               "--max-num-batched-tokens", "4096"]}  # fmt: skip
os.environ.update(VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind", OMP_NUM_THREADS="1")
START = 1200
"""Seconds that a server may take to start where other work goes on."""


def servers() -> set[int]:
    """Ids of all processes of vLLM."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if b"vllm.entrypoints" in name or name.startswith(b"VLLM::"):
            found.add(int(folder.name))
    return found


def gaps(policy: Policy, config: RunConfig, said: list[Completion]) -> list[float]:
    """|log p as recorded - log p under transformers| of every sampled token."""
    import torch

    here = load(policy, config.model, getattr(torch, config.model.dtype))
    scored = token_logprobs(here, [(one.prompt_token_ids, one.token_ids) for one in said], 4096)
    return [
        abs(recorded - value)
        for one, values in zip(said, scored, strict=True)
        for recorded, value in zip(one.logprobs or (), values, strict=True)
    ]


def test_two_generations_with_an_adapter_and_a_kill_between(tmp_path: Path) -> None:
    overrides = {"generations": 1, "training.method": "lora", "training.learning_rate": 5e-3, "training.epochs": 2,
                 "server.timeout": float(START), **SERVER}  # fmt: skip
    config = write_config(tmp_path, overrides)
    before = servers()
    command = [sys.executable, "-m", "iterdeploy", "run", str(config), "--runs-dir", str(tmp_path)]
    run = subprocess.Popen(command)
    deadline = time.monotonic() + START
    while not servers() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(5)
    assert servers() - before
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 60
    while servers() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not servers() - before, "the server ends with the run, however the run ends"

    done = iterdeploy_for_long("resume", "tiny", "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "iterdeploy: warning" not in done.stderr
    assert not servers() - before
    store = TraceStore(tmp_path / "tiny" / "traces.sqlite", read_only=True)
    resolved = config_with(overrides)
    policies = [base_policy(model_folder(resolved.model)), read_policy(tmp_path / "tiny" / "generation-0" / "policy")]
    for generation, policy in enumerate(policies):
        traces = list(store.traces(generation=generation))
        assert len(traces) == 30 and {one.source for one in traces} == {"vllm"}
        assert {one.policy_id for one in traces} == {policy.id}
        said = [one.completions[0] for one in traces]
        off = gaps(policy, resolved, said)
        print(f"generation {generation}: {len(off)} tokens, mean gap {sum(off) / len(off):.2g}, largest {max(off):.2g}")
        assert max(off) < 1e-4
        if generation:
            stale = gaps(policies[0], resolved, said)
            print(f"against the base model instead: mean {sum(stale) / len(stale):.2g}")
            assert sum(stale) > 100 * sum(off), "the adapter makes a difference, and it was applied"
    metrics = json.loads((tmp_path / "tiny" / "generation-1" / "metrics.json").read_text())
    assert metrics["drift"]["logprob_gap"] < 1e-4
    store.close()

    merged = tmp_path / "merged"
    done = iterdeploy_for_long("export", "tiny", "--generation", 1, "--to", merged, "--merge", "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    taken_away = config_with({**overrides, "model.name": str(merged)})
    with VllmSampler(base_policy(merged), taken_away) as server:
        said = server.sample([task.prompt for task in assemble(resolved).tasks.held_out], 1)
    assert max(gaps(policies[1], resolved, said)) < 1e-4, "what was taken away is the base model with its adapter"


def iterdeploy_for_long(*args: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "iterdeploy", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=3 * START)


TASKS = 500
SIZES = "2-4"


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return config_with({"model.dtype": "bfloat16", "tasks.sizes": SIZES, "tasks.held_out": TASKS, "tasks.deployed": 1,
                        "sampling.max_new_tokens": 150, "sampling.batch_size": 100,
                        "server.timeout": float(START), **SERVER})  # fmt: skip


@pytest.fixture(scope="module")
def sampler(config: RunConfig) -> Iterator[VllmSampler]:
    with VllmSampler(base_policy(model_folder(config.model)), config) as one:
        yield one


def judged(sampler: Sampler, config: RunConfig) -> tuple[list[Completion], Coverage]:
    """One answer to each of the tasks."""
    tasks = assemble(config).tasks
    batches = [tasks.held_out[i : i + 100] for i in range(0, TASKS, 100)]
    said: list[Completion] = []
    traces: list[Trace] = []
    for answered in sampler.answers(
        [PromptBatch([task.prompt for task in batch], i) for i, batch in enumerate(batches)]
    ):
        for task, one in zip(batches[answered.index], answered.completions, strict=True):
            verdict: Verdict = tasks.judge(task, [one])
            said.append(one)
            traces.append(replace(trace(task.id, size=task.size), completions=(one,), verdict=verdict))
    coverage = coverage_of_splits(traces).deployed
    assert coverage is not None
    return said, coverage


def test_in_bfloat16_the_log_probabilities_agree(sampler: VllmSampler, config: RunConfig) -> None:
    prompts = [task.prompt for task in assemble(config).tasks.held_out[:50]]
    off = gaps(base_policy(model_folder(config.model)), config, sampler.sample(prompts, 1))
    print(f"bfloat16: {len(off)} tokens, mean gap {sum(off) / len(off):.2g}, largest {max(off):.2g}")
    assert sum(off) / len(off) < 0.05


def test_served_by_vllm_and_over_the_openai_sampler_the_model_solves_as_many_tasks_as_in_process(
    sampler: VllmSampler, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = sampler._inside._endpoints[0]
    monkeypatch.setenv("ITERDEPLOY_API_KEY", endpoint.key)
    values: dict[str, Any] = config.model_dump(mode="json")
    values["sampling"]["sampler"] = "openai"
    values["server"]["address"] = endpoint.address
    remote = RunConfig.model_validate({**values, "generations": 0})
    found = {"vllm": judged(sampler, config)[1]}
    base = base_policy(model_folder(config.model))
    with OpenAiSampler(base, remote) as one:
        found["openai"] = judged(one, config)[1]
    with TransformersSampler(base, config) as here:
        found["transformers"] = judged(here, config)[1]
    for name, one_coverage in found.items():
        print(f"{name}: {one_coverage.coverage:.1%}, {one_coverage.interval}, verdicts {dict(one_coverage.verdicts)}")
    wanted = found["transformers"].interval
    for name in ("vllm", "openai"):
        seen = found[name].interval
        assert seen.low <= wanted.high and wanted.low <= seen.high, name
