"""What several test files share: a minuscule configuration, hand-made traces, and the state of a run as plain data."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from iterdeploy.config import RunConfig
from iterdeploy.models.loading import embedded_models
from iterdeploy.record.store import TraceStore, trace_id
from iterdeploy.types import Completion, Sampling, Split, Status, Trace, Verdict

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
    """Exit status 2 and one paragraph on standard error that holds all the words."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("iterdeploy: "), done.stderr
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
    judged = status in (Status.VALID, Status.INVALID)
    verdict = Verdict(
        status=status,
        reason="" if status is Status.VALID else f"because {status.value}",
        failed_step=1 if status is Status.INVALID else None,
        plan=tuple(("pickup", f"b{i + 1}") for i in range(length)) if judged else (),
        cost=float(length) if status is Status.VALID else None,
        strict=strict,
        validator="by hand",
    )
    return Trace(
        id=trace_id(task_id, generation, index, f"policy-{generation}", said),
        task_id=task_id,
        domain=domain,
        size=size,
        split=split,
        generation=generation,
        sample_index=index,
        policy_id=f"policy-{generation}",
        sampling=Sampling(1.0, 80, "float32"),
        completion=said,
        verdict=verdict,
        source="by hand",
    )


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
