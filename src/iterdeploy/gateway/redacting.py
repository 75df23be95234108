"""Takes personal data out of what is stored: somebody's function from text to text, named in `deployment.redact`.

What a client sees is the answer as it was given. Where something was taken out, the tokens no longer are those that
were sampled: the trace is tokenised anew from what is left, is marked, and has no log-probabilities.
"""

from dataclasses import dataclass
from typing import Any

from iterdeploy import registry
from iterdeploy.config import RunConfig
from iterdeploy.gateway.engine import Said
from iterdeploy.models import chat
from iterdeploy.sections import ConfigError, UserError
from iterdeploy.types import Completion

KEY, GROUP = "deployment.redact", "iterdeploy.redactors"
REDACTED = " (redacted)"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of a question and its answer."""

    prompt: str
    said: Said


class Redacting:
    def __init__(self, config: RunConfig) -> None:
        """ConfigError if the configured function is not one."""
        assert config.deployment is not None
        name = config.deployment.redact
        self._config = config
        self._redact = registry.find(name, {}, GROUP, KEY) if name else None
        if name and not callable(self._redact):
            raise ConfigError(f"{KEY}: {name} is not a function from text to text")

    def keep(self, prompt: str, said: Said, tokenizer: Any) -> Kept:
        """The question and its answer, without what was taken out. UserError if the function fails: nothing is stored
        that it has not seen."""
        if self._redact is None:
            return Kept(prompt, said)
        asked, text = self._apply(prompt), self._apply(said.completion.text)
        if (asked, text) == (prompt, said.completion.text):
            return Kept(prompt, said)
        whole = said.completion.finish_reason == "stop"
        ids = [*chat.text_ids(tokenizer, text), *(said.completion.token_ids[-1:] if whole else ())]
        made = Completion(
            text=text,
            prompt_token_ids=tuple(chat.prompt_ids(tokenizer, asked, self._config.model)),
            token_ids=tuple(ids),
            logprobs=None,
            finish_reason=said.completion.finish_reason,
            reasoning_tokens=chat.reasoning_tokens(tokenizer, ids),
        )
        return Kept(asked, Said(made, said.source + REDACTED))

    def _apply(self, text: str) -> str:
        assert self._redact is not None
        try:
            found = self._redact(text)
        except Exception as error:
            raise UserError(f"{KEY}: it failed: {registry.described(error)}") from error
        if not isinstance(found, str):
            raise UserError(f"{KEY}: it returned {found!r:.100}, not text")
        return found
