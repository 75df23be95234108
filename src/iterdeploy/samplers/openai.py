"""Sampling from a running server of the OpenAI protocol, such as vLLM's: as many requests at once as it can take.

Prompts are sent as token ids, and everything that shapes the distribution is said in each request, because servers have
defaults of their own. Of a server that returns the sampled ids nothing is re-tokenised. One that does not is accepted
with a warning: its traces are marked, and they carry no log-probabilities, because those would be of other tokens.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from iterdeploy.config import RunConfig
from iterdeploy.models.chat import completion, load_tokenizer, prompt_ids
from iterdeploy.models.loading import end_ids
from iterdeploy.samplers.client import Client, Refused, ServerError
from iterdeploy.samplers.endpoint import Endpoint, configured
from iterdeploy.samplers.protocol import Answered, Asked, Row
from iterdeploy.types import Completion, Policy, content_hash

PROBE = "Count from one to twenty."
PROBE_TOKENS = 32
PROBE_TEMPERATURE = 2.0
"""Far from 1, so that it shows whether log-probabilities are those at temperature 1."""
LARGEST_GAP = 0.05
"""Nats per token, on average, between a token's log-probability when it is sampled and when it is read."""


@dataclass(slots=True)
class Pending:
    """A batch that is under way."""

    prompts: list[list[int]]
    """Their token ids."""
    answers: dict[int, Completion] = field(default_factory=dict)


class OpenAiSampler:
    served = True

    def __init__(self, policy: Policy, config: RunConfig, endpoint: Endpoint | None = None) -> None:
        self.source = config.sampling.sampler
        self._policy = policy
        self._config = config
        self._endpoint = endpoint or configured(config)
        self._chat = endpoint is None and config.server.api == "chat"
        self._exact = not self._chat
        """The server returns what it sampled."""
        self._with_logprobs = self._exact

    def __enter__(self) -> Self:
        server, endpoint = self._config.server, self._endpoint
        self._client = Client(endpoint.address, endpoint.key, server.timeout, server.retries, endpoint.check)
        folder = Path(self._policy.base_model)
        self._tokenizer: Any = load_tokenizer(folder, self._config.model)
        self._ends = end_ids(folder, self._tokenizer)
        try:
            self._model = self._load_adapter() if self._policy.adapter else endpoint.model or self._first_model()
            self._probe()
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def sample(self, prompts: Sequence[str], seed: int) -> list[Completion]:
        (answered,) = self.answers([Asked(prompts, seed)])
        return answered.completions

    def answers(self, asked: Sequence[Asked]) -> Iterator[Answered]:
        """Batches as they become whole, in any order. The next ones are already under way while one is handled."""
        at_once = self._config.server.concurrency
        waiting = iter(enumerate(asked))
        pending: dict[int, Pending] = {}
        came: SimpleQueue[tuple[int, int, dict[str, Any] | BaseException]] = SimpleQueue()
        under_way = 0
        with ThreadPoolExecutor(at_once) as pool:
            try:
                while True:
                    while under_way < 2 * at_once and (following := next(waiting, None)) is not None:
                        index, batch = following
                        ids = [prompt_ids(self._tokenizer, prompt, self._config.model) for prompt in batch.prompts]
                        pending[index] = Pending(ids)
                        under_way += len(ids)
                        for i, prompt in enumerate(batch.prompts):
                            body = self._body(prompt, ids[i], content_hash(batch.seed, i))
                            pool.submit(self._ask, index, i, body, came)
                    if not pending:
                        return
                    index, i, reply = came.get()
                    if isinstance(reply, BaseException):
                        raise reply
                    under_way -= 1
                    one = pending[index]
                    one.answers[i] = self._completion(one.prompts[i], reply)
                    if len(one.answers) == len(one.prompts):
                        del pending[index]
                        yield Answered(index, [one.answers[i] for i in range(len(one.prompts))])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._client.close()
                raise

    def logprobs(self, rows: Sequence[Row]) -> list[list[float]] | None:
        """log p of each completion's tokens under the served model; None if the server does not tell."""
        if not self._exact:
            return None
        scored = []
        for prompt, tokens in rows:
            body = {"model": self._model, "prompt": [*prompt, *tokens], "max_tokens": 1, "echo": True, "logprobs": 1}
            try:
                found = _values(self._client.post("/completions", body)["choices"][0])
            except (Refused, KeyError):
                return None
            if found is None or len(found) < len(prompt) + len(tokens):
                return None
            scored.append(found[len(prompt) : len(prompt) + len(tokens)])
        return scored

    def _ask(self, index: int, i: int, body: dict[str, Any], came: "SimpleQueue[tuple[int, int, Any]]") -> None:
        """In a thread of the pool: whatever becomes of the request is handed over."""
        try:
            came.put((index, i, self._client.post(self._route, body)))
        except BaseException as error:
            came.put((index, i, error))

    @property
    def _route(self) -> str:
        return "/chat/completions" if self._chat else "/completions"

    def _body(self, prompt: str, ids: Sequence[int], seed: str) -> dict[str, Any]:
        """One request. Servers with the bare chat protocol refuse what it does not have."""
        sampling = self._config.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": 1.0,
            "seed": int(seed[:8], 16) >> 1,
        }
        if self._chat:
            return {**body, "messages": [{"role": "user", "content": prompt}]}
        return {
            **body,
            "prompt": list(ids),
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop_token_ids": sorted(self._ends),
            "logprobs": 1,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "include_stop_str_in_output": True,
        }

    def _completion(self, prompt: Sequence[int], reply: dict[str, Any]) -> Completion:
        try:
            choice = reply["choices"][0]
            reason = choice["finish_reason"]
        except (KeyError, IndexError, TypeError):
            raise ServerError(f"{self._endpoint.address}: this is no completion: {str(reply)[:300]}") from None
        if reason not in ("stop", "length"):
            raise ServerError(
                f"{self._endpoint.address}: the server ended an answer for a reason of its own ({reason!r}), so it is "
                "not what the model would have said"
            )
        tokens = self._sampled(choice, reason)
        if tokens is None:
            return completion(self._tokenizer, prompt, self._retokenised(choice, reason), None, reason)
        values = _values(choice) if self._with_logprobs else None
        if values is not None and len(values) != len(tokens):
            raise ServerError(f"{self._endpoint.address}: {len(values)} log-probabilities for {len(tokens)} tokens")
        return completion(self._tokenizer, prompt, tokens, values, reason)

    def _sampled(self, choice: dict[str, Any], reason: str) -> list[int] | None:
        """The sampled ids; None from a server that keeps them, or their end mark, to itself."""
        tokens: list[int] | None = choice.get("token_ids") if self._exact else None
        if tokens is None or (reason == "stop" and (not tokens or tokens[-1] not in self._ends)):
            if self._exact:
                raise ServerError(f"{self._endpoint.address}: returned token ids when it was tried, and now does not")
            return None
        return tokens

    def _retokenised(self, choice: dict[str, Any], reason: str) -> list[int]:
        """The answer's text as the tokenizer writes it, ended where the server says that it ended.

        Reasoning that the server keeps in a field of its own is put back to where it was.
        """
        message = choice.get("message") or {}
        text = choice.get("text") or message.get("content") or ""
        if thought := message.get("reasoning_content") or message.get("reasoning"):
            text = f"<think>\n{thought.strip()}\n</think>\n{text}"
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if reason == "stop" and (not ids or ids[-1] not in self._ends):
            ids = [*ids, self._tokenizer.eos_token_id if self._tokenizer.eos_token_id is not None else min(self._ends)]
        return ids

    def _first_model(self) -> str:
        listed = self._client.get("/models").get("data") or []
        if not listed:
            raise ServerError(f"{self._endpoint.address}: the server lists no model; set server.model")
        return str(listed[0]["id"])

    def _load_adapter(self) -> str:
        """The name under which the server now has this generation's adapter: its content is part of it."""
        name = f"gen{self._policy.generation}-{self._policy.id[:8]}"
        path = str(Path(str(self._policy.weights)).resolve())
        try:
            self._client.post("/load_lora_adapter", {"lora_name": name, "lora_path": path})
        except Refused as refused:
            if "already" not in str(refused):
                raise ServerError(
                    f"{refused}. The adapter of generation {self._policy.generation} could not be loaded: the server "
                    "must allow it (vLLM: --enable-lora, --max-lora-rank, VLLM_ALLOW_RUNTIME_LORA_UPDATING=True) and "
                    f"must be able to read {path}"
                ) from None
        return name

    def _probe(self) -> None:
        """One short answer shows what this server returns, before hours of sampling; at most one warning."""
        ids = prompt_ids(self._tokenizer, PROBE, self._config.model)
        body = self._body(PROBE, ids, content_hash(self._config.seed))
        most = min(PROBE_TOKENS, self._config.sampling.max_new_tokens)
        body |= {"max_tokens": most, "temperature": PROBE_TEMPERATURE}
        choice = self._client.post(self._route, body).get("choices", [{}])[0]
        problem = self._problem(ids, choice)
        if not self._exact:
            self.source += " (re-tokenised)"
        if problem:
            print(f"iterdeploy: warning: {self._endpoint.address}: {problem}", file=sys.stderr)

    def _problem(self, prompt: Sequence[int], choice: dict[str, Any]) -> str:
        """What the server that gave this reply does not offer, which is then gone without; empty: nothing."""
        tokens, values = choice.get("token_ids"), _values(choice)
        if self._chat or not tokens or (choice["finish_reason"] == "stop" and tokens[-1] not in self._ends):
            self._exact = self._with_logprobs = False
            return "no token ids are returned, so answers are re-tokenised and are unfit for importance weights"
        scored = self.logprobs([(prompt, tokens)])
        if values is None:
            self._with_logprobs = False
            return "no log-probabilities are returned, so traces are unfit for importance weights"
        if self._config.sampling.temperature != 1 and (scored is None or _gap(values, scored[0]) > LARGEST_GAP):
            self._with_logprobs = False
            return "the log-probabilities returned are not shown to be those at temperature 1 and are not recorded"
        if scored is None:
            return "given text cannot be scored, so nothing shows which weights the server has"
        return ""


def _gap(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / len(ours)


def _values(choice: dict[str, Any]) -> list[float] | None:
    """The log-probabilities of a reply's tokens in order; that of the first token of an echoed prompt is NaN."""
    found = (choice.get("logprobs") or {}).get("token_logprobs")
    return None if found is None else [float("nan") if value is None else float(value) for value in found]
