"""The configuration of a pretraining, section by section, and what is checked before anything is made of it."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from iterdeploy.models.loading import embedded_models
from iterdeploy.planning.domains import DOMAINS
from iterdeploy.sections import ConfigError, Section, default


class DemonstrationConfig(Section):
    """Tasks with answers, from one of three sources: built-in domains (`sizes`), plans for your own PDDL files
    (`domain_file` and `problem_files`), or a file of your own (`file`). Relative paths start from the current
    directory."""

    sizes: dict[str, Annotated[tuple[int, ...], Field(strict=False)]] = Field(default_factory=dict)
    """Built-in domain -> the sizes of its tasks, drawn evenly; repeat a size to draw it more often."""
    domain_file: str = ""
    """Your own domain."""
    problem_files: str = ""
    """A pattern such as "mine/train/*.pddl" for its problem files."""
    plans: Literal["downward", "files"] = "downward"
    """Where the plans for `problem_files` come from: Fast Downward, or `p1.plan` next to `p1.pddl`."""
    file: str = ""
    """A file with one JSON object a line: {"prompt": ..., "answer": ...}."""
    count: int = Field(0, ge=0, le=100_000_000)
    """Demonstrations in all; domains, problems or lines take turns. 0: every line of `file` once."""
    turns: dict[str, Annotated[int, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    """Built-in domain -> how often it has its turn before the next one has; once by default."""
    interactive: bool = False
    """For built-in domains: agents that act turn by turn (`tasks.interactive`), instead of whole plans."""
    flawed: float = Field(0.0, ge=0, lt=1)
    """For built-in domains: share whose plan is invalid, by one slip in the reasoning or in the plan."""
    wasteful: float = Field(0.0, ge=0, le=1)
    """For built-in domains: share of the valid ones that do something and undo it."""


class ArchitectureConfig(Section):
    """A Llama of this shape, embeddings tied."""

    hidden_size: int = Field(64, gt=0, le=65_536)
    layers: int = Field(4, gt=0, le=1000)
    heads: int = Field(4, gt=0, le=1000)
    intermediate_size: int = Field(192, gt=0, le=1_000_000)
    context: int = Field(4096, gt=0, le=10_000_000)
    """Tokens of the longest sequence, prompt and answer together."""


class OptimiserConfig(Section):
    name: Literal["adamw", "muon"] = "adamw"
    """`muon` moves the layers' matrices by Muon (Jordan et al. 2024), with steps as large as AdamW's, and the rest by
    AdamW (compared in docs/experiments.md)."""
    learning_rate: float = Field(4e-3, gt=0, le=10)
    tokens_per_batch: int = Field(1_000, gt=0, le=1_000_000_000)
    """Of one step; shared out among the domains as the demonstrations' tokens are."""
    warmup_steps: int = Field(200, ge=0, le=100_000_000)
    weight_decay: float = Field(0.05, ge=0, le=1000)
    gap_share: float = Field(0.5, ge=0, le=1)
    """Share of rows whose positions have random gaps."""
    gaps: int = Field(4, ge=0, le=1000)
    largest_gap: int = Field(48, ge=0, le=1_000_000)
    epochs: int = Field(1, gt=0, le=100_000)
    bf16: bool = True
    """Mixed precision where the device has bfloat16 arithmetic; else float32."""
    checkpoint_minutes: float = Field(2.0, ge=0, le=1e6)


class PretrainConfig(Section):
    name: str
    seed: int = Field(0, ge=0, le=10**12)
    start_from: str | None = None
    """An embedded model to go on from, of the same architecture; None starts from random weights."""
    threads: int = Field(0, ge=0, le=1024)
    """PyTorch threads; 0: one or all cores, whichever is faster when it starts."""
    demonstrations: DemonstrationConfig
    architecture: ArchitectureConfig = ArchitectureConfig()
    optimiser: OptimiserConfig = OptimiserConfig()


SOURCES = {
    "sizes": ("turns", "interactive", "flawed", "wasteful"),
    "problem_files": ("domain_file", "plans"),
    "file": (),
}
"""Key that names a source of demonstrations -> the keys that belong to it."""


def check_pretraining(config: PretrainConfig) -> None:
    """ConfigError for a configuration that cannot work."""
    asked, shape = config.demonstrations, config.architecture
    named = [key for key in SOURCES if getattr(asked, key)]
    if len(named) != 1:
        raise ConfigError(
            f"demonstrations.{' and demonstrations.'.join(named) or 'sizes'}: name one source: `sizes` of "
            f"{', '.join(_demonstrated())}, your `domain_file` and `problem_files`, or a `file` of tasks and answers"
        )
    _check_keys(asked, named[0])
    if asked.sizes:
        _check_sizes(asked)
    elif not asked.count and not asked.file:
        raise ConfigError("demonstrations.count: say how many demonstrations to make of the plans, such as 20_000")
    if config.start_from:
        _check_start(config.start_from, shape)
    if shape.hidden_size % shape.heads or shape.hidden_size // shape.heads % 2:
        raise ConfigError(
            f"architecture.heads: {shape.heads} heads do not split a hidden size of {shape.hidden_size} into even parts"
        )


def _demonstrated() -> list[str]:
    return [name for name, domain in DOMAINS.items() if domain.demonstrated]


def _check_keys(asked: DemonstrationConfig, source: str) -> None:
    """What would be ignored in silence is refused."""
    for other, keys in SOURCES.items():
        for key in keys:
            if other != source and getattr(asked, key) != default(DemonstrationConfig, key):
                raise ConfigError(f"demonstrations.{key}: goes with demonstrations.{other}, not with {source}")
    if source == "problem_files" and not asked.domain_file:
        raise ConfigError("demonstrations.domain_file: this key is required with demonstrations.problem_files")


def _check_sizes(asked: DemonstrationConfig) -> None:
    able = _demonstrated()
    for name, sizes in asked.sizes.items():
        if name not in able:
            raise ConfigError(f"demonstrations.sizes: {name!r} has no demonstrations; there are {', '.join(able)}")
        if not sizes or min(sizes) < DOMAINS[name].smallest:
            raise ConfigError(
                f"demonstrations.sizes.{name}: name at least one size, and none below {DOMAINS[name].smallest} "
                f"{DOMAINS[name].size_unit}, not {list(sizes)}"
            )
    if unknown := [name for name in asked.turns if name not in asked.sizes]:
        raise ConfigError(f"demonstrations.turns: {unknown[0]!r} has no sizes; name it in demonstrations.sizes as well")
    if asked.count < (round_ := sum(asked.turns.get(name, 1) for name in asked.sizes)):
        raise ConfigError(
            f"demonstrations.count: {asked.count} does not give every domain its turns; use {round_} or more"
        )


def _check_start(name: str, shape: ArchitectureConfig) -> None:
    there = embedded_models()
    if name not in there:
        raise ConfigError(f"start_from: there is no embedded model {name!r}; there are {', '.join(there)}")
    config = json.loads((there[name] / "config.json").read_text(encoding="utf-8"))
    has = (
        config["hidden_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["intermediate_size"],
    )
    if has != (shape.hidden_size, shape.layers, shape.heads, shape.intermediate_size):
        raise ConfigError(
            f"start_from: {name} has hidden_size, layers, heads and intermediate_size of {', '.join(map(str, has))}; "
            "[architecture] must say the same"
        )


def check_begun_with(config: PretrainConfig, begun: Path) -> None:
    """A folder belongs to one configuration: what it holds is never mixed with what another one makes."""
    if not begun.exists():
        if any(begun.parent.iterdir()):
            raise ConfigError(
                f"{begun.parent}: this folder is not empty and does not belong to a pretraining; choose another --out"
            )
        begun.write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return
    differences = PretrainConfig.model_validate_json(begun.read_bytes()).differences(config)
    if differences:
        raise ConfigError(
            f"{begun.parent}: this folder was begun with another configuration ({'; '.join(differences)}); "
            "choose another --out, or remove it"
        )
