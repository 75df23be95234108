"""A generation's model as a folder that `transformers`, `peft` and vLLM load: an adapter as it was trained, or whole
weights. Safetensors only."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from iterdeploy.config import RunConfig
from iterdeploy.export import ExportError
from iterdeploy.export.card import Source, model_card
from iterdeploy.record.files import read_json
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Policy

OURS = ("policy.json", "training.json", "README.md")
"""Files of a policy's folder that the card stands for."""
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
)


def policy_of(run_dir: RunDir, generation: int) -> Policy:
    """The trained policy of a generation. ExportError, with those that there are, if it has none."""
    if generation == 0:
        raise ExportError(f"generation 0 is the base model as it is, {run_dir.config.model.name}: copy its folder")
    folder = run_dir.policy(generation)
    if generation < 0 or not (folder / "policy.json").is_file():
        there = [int(path.parents[1].name.split("-")[1]) + 1 for path in run_dir.path.glob("*/policy/policy.json")]
        raise ExportError(
            f"{run_dir.path.name} has no trained generation {generation}; it has {_numbers(there) or 'none yet'}"
        )
    return Policy(weights=str(folder), **read_json(run_dir.whole_policy(generation) / "policy.json"))


def export_model(run_dir: RunDir, policy: Policy, out: Path, *, merge: bool, base: str | None) -> None:
    """Writes the policy's weights and its card into the empty folder `out`.

    `base` is what others call the base model, for example on the Hub; None: the folder where it lies here.
    """
    assert policy.weights is not None
    config, folder = run_dir.config, Path(policy.weights)
    adapter = policy.adapter and not merge
    if policy.adapter and merge:
        _merge(policy, config, out)
    else:
        _copy((path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in OURS), out)
    _copy((path for name in TOKENIZER if (path := Path(policy.base_model) / name).is_file()), out)
    if adapter:
        path = out / "adapter_config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(
            json.dumps({**settings, "base_model_name_or_path": base or policy.base_model}, indent=2) + "\n",
            encoding="utf-8",
        )
    card = model_card(Source(run_dir, config), policy.generation, base=base, adapter=adapter, merged=policy.adapter)
    (out / "README.md").write_text(card, encoding="utf-8")


def _merge(policy: Policy, config: RunConfig, out: Path) -> None:
    """Adapter and base model as one, in the precision in which the generation was sampled and measured."""
    import torch

    from iterdeploy.models.loading import load

    here = load(policy, config.model, getattr(torch, config.model.dtype))
    here.model.save_pretrained(out)
    here.tokenizer.save_pretrained(out)


def _copy(files: Iterable[Path], out: Path) -> None:
    """Copies what is not there yet; nothing that is unpickled when it is loaded."""
    for path in files:
        if path.suffix not in (".bin", ".pt", ".pth", ".pkl") and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)


def _numbers(generations: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(generations)))
