"""The README.md of an exported model: where it comes from, what it was trained on, and what was measured of it."""

from dataclasses import dataclass

import iterdeploy
from iterdeploy.config import RunConfig
from iterdeploy.metrics.records import Coverage
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir

SPLITS = {"held_out": "held out", "deployed": "deployed"}


@dataclass(frozen=True)
class Source:
    """The run that an export is of."""

    run_dir: RunDir
    config: RunConfig


def model_card(source: Source, generation: int, *, base: str | None, adapter: bool, merged: bool) -> str:
    """`base`: what the Hub calls the base model, if that is known. `merged`: an adapter was trained; it is part of the
    weights now, unless this is still the `adapter`."""
    config = source.config
    kind = "A LoRA adapter" if adapter else "Full weights, with a LoRA adapter merged in" if merged else "Full weights"
    header = [
        "---",
        *([f"base_model: {base}"] if base else []),
        f"library_name: {'peft' if adapter else 'transformers'}",
        "pipeline_tag: text-generation",
        f"tags: [{', '.join(tags(config))}]",
        "---",
    ]
    return "\n".join(
        [
            *header,
            f"# Generation {generation} of {source.run_dir.path.name}",
            "",
            f"{kind}, made by iterative deployment with iterdeploy {iterdeploy.__version__}: the generations before it "
            "answered tasks, every answer was judged, and what curation kept trained this one, from "
            f"{'the base model' if config.training.start_from == 'base' else 'the generation before'}.",
            "",
            *_facts(source, base or config.model.name),
            "",
            "## Lineage",
            "",
            *_lineage(source, generation),
            "",
            "## Measured coverage",
            "",
            *_coverage(source, generation),
            "",
            "## Loading it",
            "",
            *_loading(adapter, base or config.model.name),
            "",
        ]
    )


def tags(config: RunConfig) -> list[str]:
    """For the Hub."""
    return ["iterative-deployment", *(["planning", "pddl"] if config.tasks.of_plans else [])]


def _facts(source: Source, base: str) -> list[str]:
    config, calls, training = source.config, source.run_dir.calls, source.config.training
    length = f"{training.steps} steps" if training.steps else f"{training.epochs} epochs"
    code = "; it needs Python code of its own (trust_remote_code)" if config.model.trust_remote_code else ""
    return [
        f"- Base model: {base}{code}",
        *(f"- {label}: {said}" for label, said in source.run_dir.described.items()),
        f"- Sampling: temperature {config.sampling.temperature:g}, at most {config.sampling.max_new_tokens:,} tokens, "
        f"{config.model.dtype}",
        f"- Curation: {', then '.join(config.curation.policies)}",
        f"- Training: {training.method}, {training.objective}, {length}, learning rate {training.learning_rate:g}",
        f"- Seed {config.seed}; revision {calls[-1].revision or 'not from a checkout'}; "
        + ", ".join(f"{name} {version}" for name, version in calls[-1].packages.items() if version),
    ]


def _lineage(source: Source, generation: int) -> list[str]:
    """One row per ancestor, the base model first."""
    out = [
        "| generation | policy | trained from | pool: traces | pool: digest |",
        "|---:|---|---|---:|---|",
    ]
    for number in range(1, generation + 1):
        policy = read_json(source.run_dir.path / f"generation-{number - 1}" / "policy" / "policy.json")
        pool = source.run_dir.pool(number - 1)
        size = len(pool.weights) if pool else "-"
        out.append(f"| {number} | {policy['id']} | {policy['parent_id']} | {size} | {policy['curated_digest']} |")
    return out


def _coverage(source: Source, generation: int) -> list[str]:
    measured = source.run_dir.metrics()
    if generation >= len(measured):
        return ["This generation was trained but not measured yet."]
    samples = source.config.sampling
    out = [
        f"Share of tasks solved by one sample, with its 95% interval; k is {samples.samples} for deployed and "
        f"{samples.held_out_samples} for held-out tasks. Deployed tasks may have trained this model.",
        "",
        "| generation | tasks | coverage | 95% interval | solved by some of k | solved by all k |",
        "|---:|---|---:|---|---:|---:|",
    ]
    for number in sorted({0, generation}):
        out += [
            _row(number, f"{coverage.tasks:,} {title}", coverage)
            for split, title in SPLITS.items()
            if (coverage := measured[number].coverage(split))
        ]
    return out


def _row(generation: int, tasks: str, coverage: Coverage) -> str:
    low, high = coverage.interval.low, coverage.interval.high
    return (
        f"| {generation} | {tasks} | {coverage.coverage:.1%} | {low:.1%} to {high:.1%} | "
        f"{coverage.pass_at_k:.1%} | {coverage.unanimous_at_k:.1%} |"
    )


def _loading(adapter: bool, base: str) -> list[str]:
    if not adapter:
        return [
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            'model = AutoModelForCausalLM.from_pretrained("this/folder")',
            'tokenizer = AutoTokenizer.from_pretrained("this/folder")',
            "```",
            "",
            "With vLLM: `vllm serve this/folder`.",
        ]
    return [
        "```python",
        "from peft import AutoPeftModelForCausalLM",
        "from transformers import AutoTokenizer",
        "",
        'model = AutoPeftModelForCausalLM.from_pretrained("this/folder")',
        'tokenizer = AutoTokenizer.from_pretrained("this/folder")',
        "```",
        "",
        f"With vLLM: `vllm serve {base} --enable-lora --lora-modules name=this/folder`.",
    ]
