"""Minuscule models of several architectures with random weights, and the largest tensor that they make."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helpers.fitting import (
    settings,
)
from iterdeploy.training.fit import with_lora


def random_model(kind: str, **shape: Any) -> Any:
    """A minuscule model of that architecture with random weights, in float64."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    small = {
        "vocab_size": 61,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        **shape,
    }
    if kind == "gpt2":  # the only one here that computes nothing in float32
        dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
        small = {"vocab_size": 61, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, **dropouts, **shape}
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **small)).double()


def adapted(model: Any, *, output_layer: bool) -> Any:
    """With an adapter that changes something, and dropout."""
    import torch
    from peft import LoraConfig, get_peft_model

    if not output_layer:
        model = with_lora(model, settings(method="lora", lora_dropout=0.2)).double()
    else:
        how = LoraConfig(r=4, target_modules=["c_attn", "down_proj", "lm_head"], lora_dropout=0.2)
        model = get_peft_model(model, how).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return model


MODELS = {
    "tied": lambda: random_model("qwen3", tie_word_embeddings=True),
    "untied": lambda: random_model("llama", tie_word_embeddings=False),
    "absolute positions": lambda: random_model("gpt2"),
    "adapter": lambda: adapted(random_model("qwen3", tie_word_embeddings=False), output_layer=False),
    "adapter on the output layer": lambda: adapted(random_model("gpt2", tie_word_embeddings=False), output_layer=True),
}


OTHER_LOGITS = {
    "capped": lambda: random_model("gemma2", final_logit_softcapping=1.0),
    "scaled": lambda: random_model("granite", logits_scaling=3.0),
}


@contextmanager
def largest_tensor() -> Iterator[list[int]]:
    """[elements] of the largest tensor that any operation returns, in forward and backward passes."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = [0]

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for one in out if isinstance(out, tuple | list) else [out]:
                if isinstance(one, torch.Tensor):
                    seen[0] = max(seen[0], one.numel())
            return out

    with Watch():
        yield seen
