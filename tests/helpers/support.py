"""What several test files share: a minuscule configuration, hand-made traces, and the state of a run as plain data."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tomli_w

from iterdeploy.config import RunConfig
from iterdeploy.curation.named import find_policies
from iterdeploy.curation.policies import compose, make_pool, weigh
from iterdeploy.models.loading import embedded_models
from iterdeploy.planning.judge import shorter_plan
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.run import Run
from iterdeploy.types import (
    Completion,
    Example,
    Sampling,
    Split,
    Status,
    Task,
    Trace,
    TrainingPool,
    Verdict,
    WeightedTrace,
)

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
MODEL = "blocksworld-1m"

TINY: dict[str, Any] = {
    "seed": 5,
    "generations": 2,
    "model": {"name": MODEL, "threads": 1},
    "tasks": {"sizes": "2", "deployed": 12, "held_out": 6},
    "sampling": {"samples": 2, "max_new_tokens": 80, "batch_size": 6},
    "training": {"learning_rate": 5e-4, "epochs": 1, "tokens_per_batch": 512},
}
"""Three generations in a few seconds: 30 answers each, in five batches."""

TINY_ANSWERS = 12 * 2 + 6

HEAVY = ("torch", "transformers", "peft", "numpy", "matplotlib", "statsmodels", "scipy", "pandas", "accelerate",
         "anyio", "httpx", "tenacity")  # fmt: skip


def shared(*names: str) -> Path:
    """A place in the folder of material that is no part of this project: the one that ITERDEPLOY_SHARED names, else
    `shared` beside the repository. It need not be there."""
    return Path(os.environ.get("ITERDEPLOY_SHARED") or ROOT.parent / "shared").joinpath(*names)


def values_with(overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The minuscule configuration with some dotted keys changed; None removes a key."""
    values: dict[str, Any] = json.loads(json.dumps(TINY))
    for dotted, value in (overrides or {}).items():
        *sections, key = dotted.split(".")
        section = values
        for name in sections:
            section = section.setdefault(name, {})
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value
    return values


def config_with(overrides: Mapping[str, Any] | None = None) -> RunConfig:
    return RunConfig.model_validate(values_with(overrides))


def write_config(folder: Path, overrides: Mapping[str, Any] | None = None, name: str = "tiny") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(values_with(overrides)), encoding="utf-8")
    return path


def iterdeploy(*args: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """`python -m iterdeploy ...` as a process of its own."""
    command = [sys.executable, "-m", "iterdeploy", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


WATCHED = """
import sys
from iterdeploy.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as leaving:
    status = leaving.code
packages = {name.partition(".")[0] for name in sys.modules}
print("imported:", *sorted(packages), file=sys.stderr)
sys.exit(status)
"""


def watched(*args: object, **options: Any) -> tuple["subprocess.CompletedProcess[str]", set[str]]:
    """Like `iterdeploy`, with the names of all packages that the process had imported when it ended."""
    command = [sys.executable, "-c", WATCHED, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    told, _, names = done.stderr.rpartition("imported:")
    done.stderr = told
    return done, set(names.split())


def assert_refused(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """Exit status 2 and one paragraph on standard error that holds all the words, at most after what was begun."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    *begun, refusal = done.stderr.strip().splitlines()
    assert len(begun) <= 1 and all(" generations of " in line for line in begun), done.stderr
    assert re.match("iterdeploy[a-z -]*: ", refusal), done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def file_hashes(folder: Path) -> dict[str, str]:
    """Every file below `folder` with the hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def as_version_1(folder: Path) -> None:
    """Makes of a run what version 0.1.0 would have left: without seals and lists of digests."""
    for path in folder.rglob("*.json"):
        values = json.loads(path.read_text())
        if values.pop("seal", None):
            path.write_text(json.dumps(values, indent=1) + "\n")
    for path in folder.rglob("SHA256SUMS"):
        path.unlink()
    config = folder / "config.toml"
    config.write_text("".join(config.read_text().splitlines(keepends=True)[1:]))


def run_facts(folder: Path) -> dict[str, Any]:
    """All that must be the same after every interrupted run and an uninterrupted one.

    The traces with every column, the bytes of metrics and pools, and the bytes of all weights.
    """
    store = sqlite3.connect(folder / "traces.sqlite")
    assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    facts: dict[str, Any] = {
        "traces": store.execute("SELECT * FROM traces ORDER BY generation, task_id, sample_index").fetchall(),
        "tasks": store.execute("SELECT * FROM tasks ORDER BY id").fetchall(),
    }
    store.close()
    for path in sorted(folder.glob("generation-*/**/*")):
        name = str(path.relative_to(folder))
        if path.name == "adapter_config.json":  # peft writes a set of module names in no fixed order
            facts[name] = {key: sorted(value) if isinstance(value, list) else value
                           for key, value in json.loads(path.read_text()).items()}  # fmt: skip
        elif path.is_file() and path.name not in ("training.json", "SHA256SUMS"):  # the first holds seconds
            facts[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return facts


def before_training(folder: Path) -> None:
    """Takes a finished run back to where its base model was measured and nothing was curated."""
    for generation in folder.glob("generation-[1-9]*"):
        shutil.rmtree(generation)
    shutil.rmtree(folder / "generation-0" / "policy")
    (folder / "generation-0" / "curated.json").unlink()


def assert_whole(folder: Path, generations: int = 2, answers: int = TINY_ANSWERS) -> None:
    """Nothing missing, nothing twice, nothing half-written."""
    leftovers = [path.name for path in folder.rglob("*") if "unfinished" in path.name or "writing" in path.name]
    assert not leftovers
    store = TraceStore(folder / "traces.sqlite", read_only=True)
    keys = [trace.key for trace in store.traces()]
    expected = {
        (task.id, generation, index)
        for task in store.tasks()
        for generation in range(generations + 1)
        for index in range(2 if task.split is Split.DEPLOYED else 1)
    }
    store.close()
    assert len(keys) == len(set(keys)) == answers * (generations + 1)
    assert set(keys) == expected
    for generation in range(generations + 1):
        for name in ("metrics.json", "curated.json"):
            path = folder / f"generation-{generation}" / name
            if generation < generations or name == "metrics.json":
                json.loads(path.read_text())
        weights = folder / f"generation-{generation}" / "policy" / "model.safetensors"
        assert weights.exists() == (generation < generations)


def trace(
    task_id: str = "t1",
    *,
    generation: int = 0,
    index: int = 0,
    status: Status = Status.VALID,
    length: int = 2,
    reasoning: int = 5,
    split: Split = Split.DEPLOYED,
    size: int = 2,
    domain: str = "blocksworld",
    prompt: tuple[int, ...] = (7, 8, 9),
    strict: bool = True,
) -> Trace:
    """A trace made by hand; its sampled ids tell it apart from every other one."""
    said = Completion(
        text=f"{task_id}-{generation}-{index}",
        prompt_token_ids=prompt,
        token_ids=(100 + index, 200 + generation, 0),
        logprobs=(-0.5, -0.25, -0.125),
        finish_reason="stop",
        reasoning_tokens=reasoning,
    )
    facts: dict[str, float] = {"strict": float(strict)} if status is Status.ERROR else {}
    if status in (Status.VALID, Status.INVALID):
        facts = {"plan_length": float(length), "strict": float(strict)}
        facts |= {"cost": float(length)} if status is Status.VALID else {"failed_step": 1.0}
    verdict = Verdict(
        status,
        "" if status is Status.VALID else f"because {status.value}",
        float(status is Status.VALID),
        [["pickup", f"b{i + 1}"] for i in range(length)] if facts else None,
        facts,
        "by hand",
    )
    return Trace.make(
        Task(task_id, domain, size, split, "", {}),
        generation=generation,
        sample_index=index,
        policy_id=f"policy-{generation}",
        sampling=Sampling(1.0, 80, "float32"),
        completions=[said],
        verdict=verdict,
        source="by hand",
    )


def example_row(
    trace_id: str, token_ids: Sequence[int], loss_start: int, weight: float = 1.0, behaviour: float | None = None
) -> Example:
    """An example of one call, whose answer begins at `loss_start`."""
    return Example(trace_id, tuple(token_ids), ((loss_start, len(token_ids)),), weight, behaviour)


def whole_traces(store: TraceStore, **wanted: Any) -> list[Trace]:
    """The stored traces with what the model wrote, which outlive the store."""
    return list(store.each([one.id for one in store.traces(**wanted)]))


def weighed(traces: Iterable[Trace]) -> list[WeightedTrace]:
    """As the loop hands them to curation."""
    return weigh(traces, shorter_plan)


def run_of(components: Any, store: Any) -> Run:
    """Enough of a run for what asks its store and its components."""
    return Run(SimpleNamespace(store=store, copy=lambda if_due: None), components, Any)  # type: ignore[arg-type]


def pool_of(policies: Sequence[str], traces: Iterable[Trace]) -> TrainingPool:
    """The pool that the named policies make of the traces."""
    return make_pool(compose(find_policies(policies)), weighed(traces))


def model_copy(target: Path) -> Path:
    """The embedded model's files in a folder of the test's own, to be spoilt."""
    target.mkdir(parents=True)
    for path in embedded_models()[MODEL].iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def untrained_model(target: Path) -> Path:
    """The embedded model's shape and tokenizer with random weights: it knows nothing."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model_copy(target)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(target)).save_pretrained(target)
    return target
