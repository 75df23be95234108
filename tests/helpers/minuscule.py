"""The smallest run there can be: a model of 5,000 weights that knows nothing, two generations, four answers each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from helpers.support import model_copy, write_config

MINUSCULE = {
    "generations": 1,
    "tasks.deployed": 3,
    "tasks.held_out": 1,
    "sampling.samples": 1,
    "sampling.max_new_tokens": 6,
    "sampling.batch_size": 2,
    "sampling.max_truncated": 1.0,
    "curation.policies": ["all"],
    "training.tokens_per_batch": 60,
    "training.checkpoint_minutes": 0,
}
"""Every answer is stored soon, every one trains, and each of two optimiser steps leaves a checkpoint."""


def minuscule(folder: Path, overrides: Mapping[str, Any] | None = None) -> Path:
    """Makes the model and the configuration in the folder, and returns the configuration's file."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model = model_copy(folder / "model")
    config = LlamaConfig.from_pretrained(model)
    config.num_hidden_layers, config.hidden_size, config.intermediate_size = 1, 16, 16
    config.num_attention_heads, config.num_key_value_heads, config.head_dim = 2, 2, 8
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(model)
    return write_config(folder, {**MINUSCULE, "model.name": str(model), **(overrides or {})})
