"""What can be said of a model without its weights: its shape, and how to get it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder-only transformer with a gated feed-forward layer, as Qwen3 and Llama are."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    """Tokens that prompt and answer may have together."""
    tied: bool
    """Whether the embedding is also the output layer."""

    @property
    def parameters(self) -> int:
        """All weight matrices; norms and biases, less than a thousandth of them, are left out.

        >>> SHAPES["Qwen/Qwen3-4B-Thinking-2507"].parameters
        4022272000
        """
        return (
            self.layers * sum(a * b for a, b in self.linear) + (1 if self.tied else 2) * self.vocabulary * self.hidden
        )

    @property
    def multiplied(self) -> int:
        """The weights that every token is multiplied with: all but an embedding that is only looked up."""
        return self.parameters - (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def linear(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of one layer's matrices: query, key, value, output, gate, up, down."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = ((self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden))
        wide = (self.hidden, self.intermediate)
        return (*attention, wide, wide, (self.intermediate, self.hidden))

    def kv_bytes(self, bytes_per_value: int) -> int:
        """Bytes of the keys and values of one token.

        >>> SHAPES["Qwen/Qwen3-4B-Thinking-2507"].kv_bytes(2)
        147456
        """
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value

    def adapter_parameters(self, rank: int) -> int:
        """Of LoRA on every matrix of every layer."""
        return self.layers * sum(rank * (a + b) for a, b in self.linear)


SHAPES = {
    "Qwen/Qwen3-4B-Thinking-2507": Shape(
        layers=36,
        hidden=2560,
        intermediate=9728,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocabulary=151_936,
        context=262_144,
        tied=True,
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Shape(
        layers=30,
        hidden=576,
        intermediate=1536,
        heads=9,
        kv_heads=3,
        head_dim=64,
        vocabulary=49_152,
        context=8192,
        tied=True,
    ),
}
"""Name on the Hugging Face Hub -> shape, as its config.json states it: for estimates before anything is downloaded."""


def known_as(name: str) -> str | None:
    """The name on the Hub of a folder such as models/Qwen3-4B-Thinking-2507, if SHAPES has it."""
    last = Path(name).name
    return next((hub for hub in SHAPES if hub == name or hub.rpartition("/")[2] == last), None)


def how_to_get(name: str) -> str | None:
    """The command that downloads what `name` seems to mean; None where it does not look like a model of the Hub."""
    owner, _, model = name.partition("/")
    hub = known_as(name)
    if hub is None and owner and model and "/" not in model and owner not in (".", "..", "~", "models"):
        hub = name
    if hub is None:
        return None
    folder = f"models/{hub.rpartition('/')[2]}" if hub == name else name
    then = f', and set model.name = "{folder}"' if hub == name else ""
    return f"`hf download {hub} --local-dir {folder}` gets it{then}"


def read_shape(folder: Path) -> Shape | None:
    """The shape that the folder's config.json states; None where it has none or is not such a transformer."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    try:
        return _shape(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _shape(config: Mapping[str, Any]) -> Shape:
    said = {**config, **(config.get("text_config") or {})}
    heads, hidden = int(said["num_attention_heads"]), int(said["hidden_size"])
    return Shape(
        layers=int(said["num_hidden_layers"]),
        hidden=hidden,
        intermediate=int(said["intermediate_size"]),
        heads=heads,
        kv_heads=int(said.get("num_key_value_heads") or heads),
        head_dim=int(said.get("head_dim") or hidden // heads),
        vocabulary=int(said["vocab_size"]),
        context=int(said["max_position_embeddings"]),
        tied=bool(said.get("tie_word_embeddings", False)),
    )
