"""Sampling in this process with a `transformers` model: a batch at a time.

A short decode loop of our own instead of `generate`, for two reasons: sequences that have ended leave the batch, so a
few long answers do not hold up the rest (see docs/architecture.md for the measured gain), and the log-probability of
every sampled token is taken where it is sampled: from the raw logits, that is at temperature 1, under the weights and
the precision that sampled.

The samples of a prompt share its keys and values: it goes through the layers once. Only the output layer sees it once
for each sample, because it multiplies few rows in another order than many: so the answers are the same bits as without.

B: sequences still running. P: different prompts. T: tokens so far. V: vocabulary.
"""

import gc
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from iterdeploy.config import RunConfig
from iterdeploy.models.chat import completion, prompt_ids
from iterdeploy.models.loading import Loaded, load
from iterdeploy.samplers import protocol
from iterdeploy.samplers.protocol import BatchAnswers, PromptBatch
from iterdeploy.samplers.room import keyword, with_room
from iterdeploy.samplers.stop_texts import StopTexts
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
    stop_texts: StopTexts | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    end: str = ""
    """"stop" or "stop_text", as a completion's finish_reason; empty: it has not come to its end."""

    @property
    def going(self) -> bool:
        return not self.end and len(self.tokens) < self.limit

    def take(self, token: int, logprob: float, end_ids: Collection[int]) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        if token in end_ids:
            self.end = "stop"
        elif self.stop_texts is not None and self.stop_texts.reached(self.tokens):
            self.end = "stop_text"


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
        stop = StopTexts(here.tokenizer, sampling.stop) if sampling.stop else None
        rows = [Row(prompt, sampling.max_new_tokens, sampling.temperature, stop) for prompt in prompts]
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
    return completion(here.tokenizer, row.prompt, row.tokens, row.logprobs, row.end or "length")


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
    kept = {keyword(model): cache, "use_cache": True, "logits_to_keep": 1}

    def logits_of(ids: torch.Tensor, attention: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        out = model(input_ids=ids, attention_mask=attention, position_ids=positions, **kept)
        return cast("torch.Tensor", out.logits)[:, -1].float()

    prompts, of = different_prompts(rows, model)
    ids, attention = _left_padded(prompts, here)  # (P, T), P: different prompts
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    temperatures = torch.tensor([[row.temperature] for row in rows], device=here.device)  # (B, 1)
    if len(prompts) < len(rows):
        each = torch.tensor(of, device=here.device)
        with spread(model, each):
            logits = logits_of(ids, attention, positions)  # (B, V)
        cache.batch_select_indices(each)
        attention, positions = attention[each], positions[each]
    else:
        logits = logits_of(ids, attention, positions)
    running = rows
    while True:
        chosen = _chosen(logits, temperatures, random, narrow)  # (B, 1)
        logprobs = logits.log_softmax(-1).gather(1, chosen)
        for row, token, logprob in zip(running, chosen[:, 0].tolist(), logprobs[:, 0].tolist(), strict=True):
            if row.going:
                row.take(token, logprob, here.end_ids)
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
        logits = logits_of(ids, attention, positions)


def _chosen(
    logits: "torch.Tensor", temperatures: "torch.Tensor", random: "torch.Generator", narrow: "Narrow"
) -> "torch.Tensor":
    """One token for each row, from logits (B, V) and temperatures (B, 1); at temperature 0 the likeliest."""
    import torch

    drawn = torch.multinomial(narrow(logits / temperatures.clamp(min=COLDEST)).softmax(-1), 1, generator=random)
    return torch.where(temperatures == 0, logits.argmax(-1, keepdim=True), drawn)


def different_prompts(rows: Sequence[Row], model: Any) -> tuple[list[list[int]], list[int]]:
    """The prompts, each once, and of every row the place of its own; all of them where the output layer is unknown."""
    if model.get_output_embeddings() is None:
        return [row.prompt for row in rows], list(range(len(rows)))
    places: dict[tuple[int, ...], int] = {}
    of = [places.setdefault(tuple(row.prompt), len(places)) for row in rows]
    return [list(prompt) for prompt in places], of


@contextmanager
def spread(model: Any, each: "torch.Tensor") -> Iterator[None]:
    """Meanwhile the output layer gets the states of the rows `each`, (B,), of those that went through the layers."""
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, states: (states[0][each],))
    try:
        yield
    finally:
        hook.remove()


def _left_padded(prompts: Sequence[Sequence[int]], here: Loaded) -> "tuple[torch.Tensor, torch.Tensor]":
    """Ids of the prompts and attention mask, (P, T); sampling goes on at the right, so the padding is on the left."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), here.pad_id)
    attention = torch.zeros((len(prompts), longest), dtype=torch.int64)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(prompt)
        attention[i, longest - len(prompt) :] = 1
    return ids.to(here.device), attention.to(here.device)
