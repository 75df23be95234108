"""Keys and values in memory with room to grow.

`transformers` joins the cache anew for every token: each step copies all that a layer holds, which takes time with the
square of an answer's length. Here a layer writes the new token into memory that it already has.
"""

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

ROOM = 128
"""Tokens for which a layer takes memory ahead."""


def with_room(config: Any) -> "DynamicCache":
    """An empty cache for a model of this configuration; layers of special kinds are as `transformers` makes them."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    made = DynamicCache(config=config)
    made.layers = [_layer_class()() if type(layer) is DynamicLayer else layer for layer in made.layers]
    return made


def keyword(model: Any) -> str:
    """The keyword by which this model's `forward` takes its cache: `cache` since transformers 5.24."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


@cache
def _layer_class() -> type[Any]:
    from transformers.cache_utils import DynamicLayer

    class LayerWithRoom(DynamicLayer):  # type: ignore[no-untyped-call]
        """`keys` and `values`, (B, H, T, D), are the used part of `memory`, two tensors of (B, H, T and more, D)."""

        memory: "tuple[torch.Tensor, ...]" = ()

        def update(
            self, key_states: "torch.Tensor", value_states: "torch.Tensor", *args: Any, **kwargs: Any
        ) -> "tuple[torch.Tensor, torch.Tensor]":
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            used = self.get_seq_length()
            length = used + key_states.shape[-2]
            new = (key_states, value_states)
            if not self.memory or self.memory[0].shape[-2] < length:
                larger = tuple(
                    states.new_empty((*states.shape[:-2], length + ROOM, states.shape[-1])) for states in new
                )
                for now, before in zip(larger, self.memory, strict=False):
                    now[..., :used, :] = before[..., :used, :]
                self.memory = larger
            for memory, states in zip(self.memory, new, strict=True):
                memory[..., used:length, :] = states
            return self._show(length)

        def batch_select_indices(self, indices: "torch.Tensor") -> None:
            length = self.get_seq_length()
            self.memory = tuple(memory.index_select(0, indices) for memory in self.memory)
            self._show(length)

        def _show(self, length: int) -> "tuple[torch.Tensor, torch.Tensor]":
            keys, values = (memory[..., :length, :] for memory in self.memory)
            self.keys, self.values = keys, values
            return keys, values

    return LayerWithRoom
