"""Sampling in this process with a `transformers` model: a batch at a time.

A short decode loop of our own instead of `generate`, for two reasons: sequences that have ended leave the batch, so a
few long answers do not hold up the rest (see docs/architecture.md for the measured gain), and the log-probability of
every sampled token is taken where it is sampled: from the raw logits, that is at temperature 1, under the weights and
the precision that sampled.

B: sequences still running. T: tokens so far. V: vocabulary.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from iterdeploy.config import RunConfig
from iterdeploy.models.chat import completion, prompt_ids
from iterdeploy.models.loading import Loaded, load
from iterdeploy.samplers import protocol
from iterdeploy.samplers.protocol import BatchAnswers, PromptBatch
from iterdeploy.samplers.room import keyword, with_room
from iterdeploy.samplers.truncation import narrowed
from iterdeploy.types import Completion, Policy, Prompt

if TYPE_CHECKING:
    import torch

Narrow: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"

COLDEST = 1e-4
"""Below it a temperature is as good as 0."""
COMPACT_BELOW = 0.8
"""Ended sequences leave the batch when fewer than this share of its rows still run; copying the cache costs time."""


@dataclass
class Row:
    """One sequence while it is being sampled."""

    prompt: list[int]
    limit: int
    """Tokens that it may have."""
    temperature: float
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False

    @property
    def going(self) -> bool:
        return not self.ended and len(self.tokens) < self.limit


class TransformersSampler:
    source = "transformers"
    served = False

    def __init__(self, policy: Policy, config: RunConfig) -> None:
        self._policy = policy
        self._config = config
        self._loaded: Loaded | None = None

    def __enter__(self) -> Self:
        import torch

        self._loaded = load(self._policy, self._config.model, getattr(torch, self._config.model.dtype))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import torch

        self._loaded = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def sample(self, prompts: Sequence[Prompt], seed: int) -> list[Completion]:
        here = self._here
        return self.sample_ids([prompt_ids(here.tokenizer, prompt, self._config.model) for prompt in prompts], seed)

    def sample_ids(self, prompts: Sequence[list[int]], seed: int) -> list[Completion]:
        """One completion for each prompt, given as token ids."""
        import torch

        here, sampling = self._here, self._config.sampling
        rows = [Row(prompt, sampling.max_new_tokens, sampling.temperature) for prompt in prompts]
        decode(here, rows, torch.Generator(here.device).manual_seed(seed), narrow=partial(narrowed, sampling=sampling))
        return [said(here, row) for row in rows]

    def answers(self, asked: Sequence[PromptBatch]) -> Iterator[BatchAnswers]:
        for index, batch in enumerate(asked):
            yield BatchAnswers(index, self.sample(batch.prompts, batch.seed))

    def logprobs(self, rows: Sequence[protocol.TokenPair]) -> list[list[float]] | None:
        from iterdeploy.models.scoring import token_logprobs

        scored = token_logprobs(self._here, rows, self._config.training.tokens_per_batch)
        return [values.tolist() for values in scored]

    @property
    def _here(self) -> Loaded:
        assert self._loaded is not None, "a sampler is used inside `with`"
        return self._loaded


def said(here: Loaded, row: Row) -> Completion:
    """What a sequence that was sampled to its end says."""
    return completion(here.tokenizer, row.prompt, row.tokens, row.logprobs, "stop" if row.ended else "length")


def decode(
    here: Loaded,
    rows: list[Row],
    random: "torch.Generator",
    watch: Callable[[list[Row]], None] = lambda _: None,
    narrow: "Narrow" = lambda logits: logits,
) -> None:
    """Samples every row to its end or to its limit. `watch` sees the rows of the batch after each token; `narrow` takes
    tokens out of logits that have been divided by the temperature."""
    import torch

    with torch.inference_mode():
        _decode(here, rows, random, watch, narrow)


def _decode(
    here: Loaded, rows: list[Row], random: "torch.Generator", watch: Callable[[list[Row]], None], narrow: "Narrow"
) -> None:
    import torch

    model: Any = here.model
    cache = with_room(model.config)
    kept = {keyword(model): cache, "use_cache": True}
    ids, attention = _left_padded(rows, here)  # (B, T)
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    temperatures = torch.tensor([[row.temperature] for row in rows], device=here.device)  # (B, 1)
    running = rows
    while True:
        logits = (
            model(input_ids=ids, attention_mask=attention, position_ids=positions, logits_to_keep=1, **kept)
            .logits[:, -1]
            .float()
        )  # (B, V)
        chosen = _chosen(logits, temperatures, random, narrow)  # (B, 1)
        logprobs = logits.log_softmax(-1).gather(1, chosen)
        for row, token, logprob in zip(running, chosen[:, 0].tolist(), logprobs[:, 0].tolist(), strict=True):
            if row.going:
                row.tokens.append(token)
                row.logprobs.append(logprob)
                row.ended = token in here.end_ids
        watch(running)
        going = [i for i, row in enumerate(running) if row.going]
        if not going:
            return
        ids, positions = chosen, positions[:, -1:] + 1
        attention = torch.cat([attention, attention.new_ones(len(running), 1)], dim=1)
        if len(going) < COMPACT_BELOW * len(running):
            keep = torch.tensor(going, device=here.device)
            running = [running[i] for i in going]
            cache.batch_select_indices(keep)
            ids, positions, attention, temperatures = ids[keep], positions[keep], attention[keep], temperatures[keep]


def _chosen(
    logits: "torch.Tensor", temperatures: "torch.Tensor", random: "torch.Generator", narrow: "Narrow"
) -> "torch.Tensor":
    """One token for each row, from logits (B, V) and temperatures (B, 1); at temperature 0 the likeliest."""
    import torch

    drawn = torch.multinomial(narrow(logits / temperatures.clamp(min=COLDEST)).softmax(-1), 1, generator=random)
    return torch.where(temperatures == 0, logits.argmax(-1, keepdim=True), drawn)


def _left_padded(rows: Sequence[Row], here: Loaded) -> "tuple[torch.Tensor, torch.Tensor]":
    """Prompt ids and attention mask, (B, T); sampling goes on at the right, so the padding is on the left."""
    import torch

    longest = max(len(row.prompt) for row in rows)
    ids = torch.full((len(rows), longest), here.pad_id)
    attention = torch.zeros((len(rows), longest), dtype=torch.int64)
    for i, row in enumerate(rows):
        ids[i, longest - len(row.prompt) :] = torch.tensor(row.prompt)
        attention[i, longest - len(row.prompt) :] = 1
    return ids.to(here.device), attention.to(here.device)
