"""Sampling in this process with `transformers`: a whole batch at a time, static cache, nothing but temperature.

The log-probabilities are those of the raw logits, that is at temperature 1, under the weights and the precision that
sampled. B: sequences of the batch. V: vocabulary.
"""

import gc
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from iterdeploy.config import RunConfig
from iterdeploy.models.loading import Loaded, load
from iterdeploy.types import Completion, Policy

if TYPE_CHECKING:
    import torch


class TransformersSampler:
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

    def sample(self, prompts: Sequence[str], seed: int) -> list[Completion]:
        import torch

        assert self._loaded is not None, "a sampler is used inside `with`"
        here = self._loaded
        rows = [here.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), here.pad_id)
        attention = torch.zeros((len(rows), longest), dtype=torch.int64)
        for i, row in enumerate(rows):  # generation continues on the right, so prompts are padded on the left
            ids[i, longest - len(row) :] = torch.tensor(row)
            attention[i, longest - len(row) :] = 1
        recorder = _Recorder(longest)
        torch.manual_seed(seed)
        model: Any = here.model
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids.to(here.device),
                attention_mask=attention.to(here.device),
                do_sample=True,
                temperature=self._config.sampling.temperature,
                top_k=0,
                top_p=1.0,
                max_new_tokens=self._config.sampling.max_new_tokens,
                eos_token_id=sorted(here.end_ids),
                pad_token_id=here.pad_id,
                logits_processor=[recorder],
                cache_implementation="static",
                disable_compile=True,
            )
        logprobs = recorder.finish(out)
        return [
            self._completion(row, tokens, values)
            for row, tokens, values in zip(rows, out[:, longest:].tolist(), logprobs.tolist(), strict=True)
        ]

    def _completion(self, prompt: list[int], tokens: list[int], logprobs: list[float]) -> Completion:
        assert self._loaded is not None
        here = self._loaded
        end = next((i for i, token in enumerate(tokens) if token in here.end_ids), None)
        length = len(tokens) if end is None else end + 1
        text = here.tokenizer.decode(tokens[: length if end is None else end])
        assert isinstance(text, str)
        return Completion(
            text=text,
            prompt_token_ids=tuple(prompt),
            token_ids=tuple(tokens[:length]),
            logprobs=tuple(logprobs[:length]),
            finish_reason="length" if end is None else "stop",
            reasoning_tokens=_reasoning_tokens(tokens[:length], here.think_ends),
        )


def _reasoning_tokens(tokens: Sequence[int], marks: Sequence[tuple[int, ...]]) -> int:
    """Tokens up to and including the first mark of the reasoning's end; 0 without one."""
    for i in range(len(tokens)):
        for mark in marks:
            if tuple(tokens[i : i + len(mark)]) == mark:
                return i + len(mark)
    return 0


class _Recorder:
    """Notes log p of each sampled token as generation goes, without keeping the logits of more than one step.

    A logits processor: it is called with the sequences so far and the raw logits of the next token, so the token that
    was drawn from one call's logits is seen at the next call.
    """

    def __init__(self, prompt_length: int) -> None:
        self._prompt_length = prompt_length
        self._chosen: list[torch.Tensor] = []
        self._pending: torch.Tensor | None = None  # (B, V)

    def __call__(self, ids: "torch.Tensor", logits: "torch.Tensor") -> "torch.Tensor":
        self._take(ids)
        self._pending = logits.float().log_softmax(-1)
        return logits

    def _take(self, ids: "torch.Tensor") -> None:
        if self._pending is not None:
            self._chosen.append(self._pending.gather(1, ids[:, -1:]))

    def finish(self, ids: "torch.Tensor") -> "torch.Tensor":
        """(B, new tokens) float32, in nats; columns after a sequence's end mean nothing."""
        import torch

        self._take(ids)
        logprobs = torch.cat(self._chosen, dim=1).cpu()
        assert logprobs.shape[1] == ids.shape[1] - self._prompt_length
        return logprobs
