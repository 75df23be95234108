"""From a policy to a model in memory, and the embedded models by name. Safetensors only; code that comes with a model
runs only if the configuration says so.

Everything heavy is imported here, when a model is first needed.
"""

import json
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.config import ModelConfig
from iterdeploy.models.shapes import how_to_get
from iterdeploy.sections import ConfigError
from iterdeploy.types import Policy, content_hash

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def embedded_models() -> dict[str, Path]:
    """Name -> folder of the models that the package carries."""
    root = Path(str(files("iterdeploy.models") / "embedded"))
    return {path.parent.name: path.parent for path in sorted(root.glob("*/config.json"))}


def model_folder(config: ModelConfig) -> Path:
    """The folder that the configuration means. ConfigError, before anything is loaded, if it holds no usable model."""
    embedded = embedded_models()
    folder = embedded.get(config.name, Path(config.name))
    if not folder.is_dir():
        way = how_to_get(config.name)
        raise ConfigError(
            f"model.name: {config.name!r} is neither an embedded model ({', '.join(embedded) or 'none'}) nor a folder"
            + (f"; {way}" if way else "")
        )
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"model.name: {folder} is not a model folder: it has no {' and no '.join(missing)}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ConfigError(f"model.name: {folder} has no weights as .safetensors, the only format that is loaded")
    _check_code(folder, config)
    for path in weights:
        _check_weights(path)
    return folder.resolve()


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"model.name: {path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"model.name: {path} is not the configuration of a model")
    return value


def _check_code(folder: Path, config: ModelConfig) -> None:
    """ConfigError if the model needs Python code of its own and that may not run."""
    said = _json_object(folder / "config.json")
    if "auto_map" not in said or config.trust_remote_code:
        return
    from transformers import CONFIG_MAPPING

    if said.get("model_type") not in CONFIG_MAPPING:
        raise ConfigError(
            f"model.name: {folder} needs Python code of its own, which could do anything: read the .py files there, "
            "and set model.trust_remote_code = true if you trust them"
        )


def code_files(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of the Python files in a model's folder."""
    return {path.name: _digest(path) for path in sorted(folder.glob("*.py"))}


def _digest(path: Path) -> str:
    """SHA-256 of a file, however large."""
    from hashlib import file_digest

    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _check_weights(path: Path) -> None:
    """ConfigError for a file that is cut short or none of its format: 8 bytes of length, JSON header, tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length)) if length <= path.stat().st_size else {}
            end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        except (ValueError, AttributeError, TypeError, KeyError):
            end = -1
    if path.stat().st_size != 8 + length + end:
        raise ConfigError(f"model.name: {path} is damaged: it is cut short or not a .safetensors file")


def context_length(folder: Path) -> int | None:
    """Tokens that the model can hold, prompt and answer together; None if its configuration does not say."""
    config = _json_object(folder / "config.json")
    value = config.get("max_position_embeddings", config.get("text_config", {}).get("max_position_embeddings"))
    return None if value is None else int(value)


def vocabulary_size(folder: Path, tokenizer: "PreTrainedTokenizerBase") -> int:
    """Token ids are below it: as many as the model has embeddings, which may be more than its tokenizer has words."""
    config = _json_object(folder / "config.json")
    value = config.get("vocab_size", (config.get("text_config") or {}).get("vocab_size"))
    return len(tokenizer) if value is None else int(value)


def base_policy(folder: Path) -> Policy:
    """Generation 0: the base model as it is. Its id depends on the files' content, not on where they lie."""
    digests = [_digest(path) for path in sorted(folder.glob("*.safetensors"))]
    identifier = content_hash("base", digests, (folder / "config.json").read_text(encoding="utf-8"))
    return Policy(identifier, 0, str(folder), None, False, None, None)


def tokenizer_digest(folder: Path) -> str:
    """SHA-256 of the tokenizer in a model's folder: with another one, stored token ids would mean other text."""
    return _digest(folder / "tokenizer.json")


@dataclass(frozen=True)
class Loaded:
    """A model in memory with what sampling and training need to know of it."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    device: str
    end_ids: frozenset[int]
    """Every token that ends an answer."""
    pad_id: int


TORCH_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "16",
    "LRU_CACHE_CAPACITY": "16",
}
"""Read by the libraries when they are first loaded."""


def set_up_torch(config: ModelConfig) -> None:
    """Threads: those of the configuration, else as `threads.settle` left them. Idle threads sleep instead of spinning.

    oneDNN keeps a prepared product for each shape that it has met, a thousand of them by default; as the shapes of
    batches never end, that took half of the memory of training and saved no time.
    """
    for name, value in TORCH_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import torch

    torch.set_num_threads(config.threads or max(1, torch.get_num_threads()))


def device_of(config: ModelConfig) -> str:
    import torch

    if config.device != "auto":
        return config.device
    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies in bfloat16 itself; a CPU that imitates it is ten times slower than in float32."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def load(policy: Policy, config: ModelConfig, dtype: "torch.dtype", *, keep_adapter: bool = False) -> Loaded:
    """The policy's model on its device, in `dtype`, in evaluation mode.

    An adapter is merged into the weights, or with `keep_adapter` stays apart so that its training can go on.
    """
    set_up_torch(config)
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = policy.base_model if policy.weights is None or policy.adapter else policy.weights
    local: Any = {"local_files_only": True, "trust_remote_code": config.trust_remote_code}
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, **local)
    if policy.adapter and policy.weights is not None:
        from peft import PeftModel

        if not (Path(policy.weights) / "adapter_model.safetensors").is_file():
            raise ConfigError(f"{policy.weights} has no adapter_model.safetensors, the only format that is loaded")
        model = PeftModel.from_pretrained(model, policy.weights, is_trainable=keep_adapter)
        model = model if keep_adapter else model.merge_and_unload()
    tokenizer: Any = AutoTokenizer.from_pretrained(policy.base_model, **local)
    ends = end_ids(Path(policy.base_model), tokenizer)
    device = device_of(config)
    return Loaded(
        model=model.to(device).eval(),
        tokenizer=tokenizer,
        device=device,
        end_ids=ends,
        pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends),
    )


def end_ids(folder: Path, tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Every token that ends an answer: those of the generation configuration and the tokenizer's own."""
    config = _json_object(folder / "config.json")
    sources = [config, config.get("text_config") or {}]
    if (path := folder / "generation_config.json").is_file():
        sources = [_json_object(path), *sources]
    said: Any = next((found for one in sources if (found := one.get("eos_token_id")) is not None), [])
    own: Any = tokenizer.eos_token_id
    ends = frozenset([said] if isinstance(said, int) else said) | frozenset([] if own is None else [own])
    if not ends:
        raise ConfigError(f"model.name: {folder} names no end-of-sequence token, so its answers would never end")
    return ends
