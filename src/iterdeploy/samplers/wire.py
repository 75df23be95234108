"""What is sent to a server of the OpenAI protocol, and what may be read in its replies. No network here.

Everything that shapes the distribution is said in each request, because servers have defaults of their own. What a
server returns is found out once, with a short request; from then on every reply must have all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from iterdeploy.config import RunConfig
from iterdeploy.models.chat import chat_messages, completion, load_tokenizer, prompt_ids, with_system
from iterdeploy.models.loading import end_ids, vocabulary_size
from iterdeploy.redaction import holds_a_key, in_a_message
from iterdeploy.samplers.errors import Unusable
from iterdeploy.samplers.replies import Answer, Choice, checked_ids, checked_logprobs, parsed
from iterdeploy.types import Completion, Prompt, content_hash

PROBE = "Count from one to twenty."
PROBE_TOKENS = 32
PROBE_TEMPERATURE = 2.0
"""Far from 1, so that it shows whether log-probabilities are those at temperature 1."""
LARGEST_GAP = 0.05
"""Nats per token, on average, between a token's log-probability when it is sampled and when it is read."""
RETOKENISED = 4
"""Tokens that one sampled token may become when its text is tokenised again: a sign that is not whole becomes three."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server returns."""

    exact: bool
    """The ids that it sampled."""
    logprobs: bool
    """Their log-probabilities at temperature 1."""
    scores: bool
    """Log-probabilities of given text."""
    model: str | None = None
    """What it calls the model that answers, which may be another name than it is asked by; None: it does not say."""


def common(one: Offer, other: Offer) -> Offer:
    """What both servers return; they may call the model by different names."""
    exact = one.exact and other.exact
    return Offer(exact, exact and one.logprobs and other.logprobs, exact and one.scores and other.scores)


EVERYTHING, TEXT = Offer(True, True, True), Offer(False, False, False)


@dataclass(frozen=True)
class Wire:
    config: RunConfig
    tokenizer: Any
    ends: frozenset[int]
    """Every token that ends an answer."""
    vocabulary: int
    """Token ids are below it."""
    chat: bool
    """Messages are sent, and text comes back."""
    model: str
    """The name under which the server has the policy."""
    offer: Offer

    @classmethod
    def of(cls, folder: Path, config: RunConfig, chat: bool, model: str) -> Self:
        """For the model whose tokenizer is in `folder`, before the server has been tried."""
        tokenizer = load_tokenizer(folder, config.model)
        ends, vocabulary = end_ids(folder, tokenizer), vocabulary_size(folder, tokenizer)
        return cls(config, tokenizer, ends, vocabulary, chat, model, TEXT if chat else EVERYTHING)

    @property
    def route(self) -> str:
        return "/chat/completions" if self.chat else "/completions"

    def ids(self, prompt: Prompt) -> list[int]:
        return prompt_ids(self.tokenizer, prompt, self.config.model)

    def body(self, prompt: Prompt, seed: str) -> dict[str, Any]:
        """One request. Servers with the bare chat protocol refuse what it does not have."""
        sampling = self.config.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": int(seed[:8], 16) >> 1,
        }
        if self.chat:
            return {**body, "messages": with_system(chat_messages(prompt), self.config.model)}
        return {
            **body,
            "prompt": self.ids(prompt),
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(self.ends),
            "logprobs": 1,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "include_stop_str_in_output": True,
        }

    def probe(self) -> dict[str, Any]:
        """A short request, which shows what the server returns."""
        most = min(PROBE_TOKENS, self.config.sampling.max_new_tokens)
        seed = content_hash(self.config.seed)
        return self.body(PROBE, seed) | {"max_tokens": most, "temperature": PROBE_TEMPERATURE}

    def scoring(self, prompt: Sequence[int], tokens: Sequence[int]) -> dict[str, Any]:
        """A request for the log-probabilities of given text."""
        return {"model": self.model, "prompt": [*prompt, *tokens], "max_tokens": 1, "echo": True, "logprobs": 1}

    def answer(self, content: bytes) -> Answer:
        """A reply. Unusable if it is none, or by another model than answered before."""
        answer = parsed(Answer, content)
        if self.offer.model is not None and answer.model not in (None, self.offer.model):
            raise Unusable(f"it is an answer by {answer.model!r}, not by {self.offer.model!r}")
        return answer

    def completion(self, prompt: Sequence[int], content: bytes) -> Completion:
        """What a reply says was sampled. Unusable unless it has all that the server offers."""
        (choice,) = self.answer(content).choices
        tokens, values = self._sampled(choice) if self.offer.exact else (self._retokenised(choice), None)
        made = completion(self.tokenizer, prompt, tokens, values, choice.finish_reason)
        if holds_a_key(made.text):
            raise Unusable("the answer holds the key that the server was given")
        return made

    def _sampled(self, choice: Choice) -> tuple[Sequence[int], Sequence[float] | None]:
        """(ids, their log-probabilities)."""
        if choice.token_ids is None:
            raise Unusable("it has no token ids, which the server returned when it was tried")
        tokens = checked_ids(choice.token_ids, self.vocabulary, self.config.sampling.max_new_tokens)
        if self._cut(choice):
            raise Unusable("it stopped without an end-of-sequence token")
        if not self.offer.logprobs:
            return tokens, None
        if choice.values is None:
            raise Unusable("it has no log-probabilities, which the server returned when it was tried")
        return tokens, checked_logprobs(choice.values, len(tokens))

    def _cut(self, choice: Choice) -> bool:
        """Whether the end-of-sequence token is missing."""
        return choice.finish_reason == "stop" and (not choice.token_ids or choice.token_ids[-1] not in self.ends)

    def _retokenised(self, choice: Choice) -> Sequence[int]:
        """The answer's text as the tokenizer writes it, ended where the server says that it ended."""
        ids: list[int] = self.tokenizer(choice.whole_text, add_special_tokens=False)["input_ids"]
        if choice.finish_reason == "stop" and (not ids or ids[-1] not in self.ends):
            ids = [*ids, self.tokenizer.eos_token_id if self.tokenizer.eos_token_id is not None else min(self.ends)]
        return checked_ids(ids, self.vocabulary, RETOKENISED * self.config.sampling.max_new_tokens)

    def probed(self, content: bytes) -> Answer:
        """The reply to `probe`. It may lack ids or log-probabilities; Unusable if what it has cannot be true."""
        answer = self.answer(content)
        (choice,) = answer.choices
        if self.chat or not choice.token_ids:
            self._retokenised(choice)
            return answer
        tokens = checked_ids(choice.token_ids, self.vocabulary, PROBE_TOKENS)
        if choice.values is not None:
            checked_logprobs(choice.values, len(tokens))
        return answer

    def scores(self, prompt: Sequence[int], tokens: Sequence[int], content: bytes) -> list[float] | None:
        """The reply to `scoring`: log p of each of the tokens, in nats; None from a server that does not tell."""
        values = self.answer(content).choices[0].values
        if values is None or len(values) < len(prompt) + len(tokens):
            return None
        return checked_logprobs(values[len(prompt) : len(prompt) + len(tokens)], len(tokens))

    def tells_ids(self, answer: Answer) -> bool:
        """Whether the reply to `probe` has the ids that were sampled, their end mark included."""
        (choice,) = answer.choices
        return not self.chat and bool(choice.token_ids) and not self._cut(choice)

    def tried(self, answer: Answer, scores: Sequence[float] | None) -> tuple[Self, list[str]]:
        """With what the server was found to offer, and in words what it does not offer.

        `answer` is its reply to `probe`, `scores` what it then said of the tokens in it; None: it said nothing.
        """
        (choice,) = answer.choices
        lacks = []
        if answer.model not in (None, self.model):
            lacks.append(f"{in_a_message(str(answer.model))!r} answers where {self.model!r} was asked")
        if not self.tells_ids(answer):
            lacks.append("no token ids are returned, so answers are re-tokenised and are unfit for importance weights")
            return replace(self, offer=replace(TEXT, model=answer.model)), lacks
        values = None if choice.values is None else checked_logprobs(choice.values, len(choice.values))
        untempered = self.config.sampling.temperature == 1 or (
            values is not None and scores is not None and _gap(values, scores) <= LARGEST_GAP
        )
        if values is None:
            lacks.append("no log-probabilities are returned, so traces are unfit for importance weights")
        elif not untempered:
            lacks.append(
                "the log-probabilities returned are not shown to be those at temperature 1 and are not recorded"
            )
        elif scores is None:
            lacks.append("given text cannot be scored, so nothing shows which weights the server has")
        offer = Offer(True, values is not None and untempered, scores is not None, answer.model)
        return replace(self, offer=offer), lacks


def _gap(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / len(ours)
