"""Before hours of sampling: is the tokenizer that of the base model, and does a server have the policy's weights?

A server may answer with an adapter that was never applied, with that of another generation, or with another model. So a
few stored answers are read by the policy in this process, before the server starts, and then by the server; what they
say of each token must agree, and must not be what an earlier generation said of it when it sampled it.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from iterdeploy.models.chat import load_tokenizer, prompt_ids
from iterdeploy.models.loading import tokenizer_digest
from iterdeploy.models.scoring import policy_logprobs
from iterdeploy.samplers import Sampler
from iterdeploy.samplers.fleet import CLEAR_GAP
from iterdeploy.steps.run import Run
from iterdeploy.steps.stops import Stopped
from iterdeploy.types import Policy, Prompt

ROWS, TOKENS = 8, 512
"""Texts that are read for each generation they come from, and how many of their tokens."""
LARGEST_GAP = {"float32": 0.01, "bfloat16": 0.1}
"""Precision -> nats per token by which two programs may differ on the same weights, on average over a text."""


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids to be read, and what is known of them."""

    prompt: Sequence[int]
    tokens: Sequence[int]
    generation: int | None
    """The generation that sampled it; None: a task's prompt."""
    recorded: Sequence[float] | None
    """log p of each token when it was sampled."""


@contextmanager
def verified(policy: Policy, sampler: Sampler, prompts: Sequence[Prompt], run: Run) -> Iterator[Sampler]:
    """The sampler, entered; if its model is in another process, shown to be the policy. Stops the run if it is not."""
    _check_tokenizer(policy, run.policy(0))
    texts: list[Text] = []
    expected: list[list[float]] = []
    if sampler.served:
        texts = _texts(policy, prompts, run)
        read = policy_logprobs(policy, [(one.prompt, one.tokens) for one in texts], run.config)
        expected = [values.tolist() for values in read]
    with sampler:
        found = sampler.logprobs([(one.prompt, one.tokens) for one in texts]) if sampler.served else None
        if found is not None:
            _compare(policy, texts, expected, found, run.config.model.dtype)
        yield sampler


def _check_tokenizer(policy: Policy, base: Policy) -> None:
    """Every generation has the tokenizer of the base model that it was trained over."""
    if tokenizer_digest(Path(policy.base_model)) != tokenizer_digest(Path(base.base_model)):
        raise Stopped(
            "other_tokenizer",
            f"generation {policy.generation}: its tokenizer, in {policy.base_model}, is not that of the base model in "
            f"{base.base_model}, so the token ids that are stored would mean other text. Nothing was sampled. Make the "
            "two tokenizer.json the same, or start a new run.",
            {},
        )


def _texts(policy: Policy, prompts: Sequence[Prompt], run: Run) -> list[Text]:
    """Stored answers of generation 0 and of the one before the policy's; for generation 0, prompts."""
    store = run.store
    texts = [
        Text(call.prompt_token_ids, call.token_ids[:TOKENS], generation, call.logprobs and call.logprobs[:TOKENS])
        for generation in sorted({0, policy.generation - 1} if policy.generation else ())
        for call in (trace.completions[0] for trace in store.each(store.first_ids(ROWS, generation=generation)))
        if call.token_ids
    ]
    if texts:
        return texts
    tokenizer = load_tokenizer(Path(policy.base_model), run.config.model)
    encoded = [prompt_ids(tokenizer, prompt, run.config.model)[: TOKENS + 1] for prompt in dict.fromkeys(prompts)]
    return [Text(ids[:1], ids[1:], None, None) for ids in encoded[:ROWS]]


def _compare(
    policy: Policy, texts: Sequence[Text], expected: Sequence[list[float]], found: Sequence[list[float]], dtype: str
) -> None:
    for origin in dict.fromkeys(one.generation for one in texts):
        chosen = [i for i, one in enumerate(texts) if one.generation == origin]
        gap = _gap([found[i] for i in chosen], [expected[i] for i in chosen])
        recorded = [values for i in chosen if (values := texts[i].recorded) is not None]
        stale = (
            len(recorded) == len(chosen)
            and gap > CLEAR_GAP[dtype]
            and _gap([found[i] for i in chosen], recorded) < gap / 2
        )
        if stale or not gap <= LARGEST_GAP[dtype]:
            likeness = (
                f"those of generation {origin}, so the adapter of generation {policy.generation} is stale or was never "
                "applied"
                if stale
                else f"not those of the policy of generation {policy.generation}"
            )
            raise Stopped(
                "server_has_other_weights",
                f"generation {policy.generation}: the server's weights are {likeness}: its log-probabilities of known "
                f"texts and the trainer's differ by {gap:.2g} nats per token, at most {LARGEST_GAP[dtype]} in {dtype} "
                "being rounding. Nothing was sampled. Check that the server has the base model that model.name names, "
                "in the precision of model.dtype, and that it can load adapters.",
                {},
            )


def _gap(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    """Mean of |log p - log p'| over all tokens."""
    gaps = [abs(a - b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    return math.fsum(gaps) / max(1, len(gaps))
