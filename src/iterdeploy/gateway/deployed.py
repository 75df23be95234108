"""A live deployment as the gateway sees it: its run's folder, which generation answers, and the policies."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from iterdeploy.config import RunConfig
from iterdeploy.config_deployment import DeploymentConfig
from iterdeploy.gateway.question import Question
from iterdeploy.gateway.redacting import Redacting
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.gateway.tasks import Prompts, held_out
from iterdeploy.models import chat
from iterdeploy.models.loading import context_length
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.standing import Standing, standing
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic
from iterdeploy.sections import ConfigError
from iterdeploy.steps.components import Components
from iterdeploy.training.trainer import read_policy
from iterdeploy.types import Policy, content_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Deployed:
    """Made and used in one thread, as its connection to the store is."""

    def __init__(self, path: Path, components: Components) -> None:
        assert components.config.deployment is not None
        self.path = path
        self.name = path.name
        self.components = components
        self.config: RunConfig = components.config
        self.terms: DeploymentConfig = components.config.deployment
        self.store = TraceStore(path / "traces.sqlite")
        self.traffic = Traffic(self.store)
        self.prompts = Prompts(components.tasks, self.terms.held_out_traffic)
        self.redacting = Redacting(self.config)
        self._folder = RunDir.reading(path, self.store)
        self._policies: dict[int, Policy] = {0: components.base}
        self._standing, self._row = Standing(), 0

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        return chat.load_tokenizer(Path(self.components.base.base_model), self.config.model)

    @cached_property
    def context(self) -> int | None:
        return context_length(Path(self.components.base.base_model))

    def standing(self) -> Standing:
        """What holds at this moment, whichever process decided it."""
        if self.traffic.last_act() > self._row:
            found = list(self.traffic.acts(self._row))
            self._standing = standing([act for _, act in found], self._standing)
            self._row = found[-1][0]
        return self._standing

    def generations(self) -> list[int]:
        """The generations that can answer, the newest last."""
        found, generation = [0], 1
        while self._folder.policy(generation).exists() or generation in self.standing().withdrawn:
            if generation not in self.standing().withdrawn:
                found.append(generation)
            generation += 1
        return found

    def choose(self, model: str, stick: str) -> int:
        """The generation that answers under a model's name. What sticks together is answered by the same one.

        Refusal for a model that is not there."""
        now = self.standing()
        if model == self.name:
            chosen = now.canary if now.canary is not None and held_out(f"canary {stick}", now.share) else now.promoted
        elif (found := re.fullmatch(r"(.*)@g(\d{1,5})", model)) and found[1] == self.name:
            chosen = int(found[2])
        else:
            chosen = -1
        if chosen == 0 or (chosen > 0 and chosen not in now.withdrawn and self._folder.policy(chosen).exists()):
            return chosen
        raise Refusal(404, "model_not_found", f"there is no model {model[:200]!r}; GET /v1/models lists them")

    def policy(self, generation: int) -> Policy:
        if generation not in self._policies:
            self._policies[generation] = read_policy(self._folder.policy(generation))
        return self._policies[generation]

    def ids(self, question: Question) -> list[int]:
        """The prompt's token ids. Refusal if the model cannot be asked so."""
        model, prompt = self.config.model, question.prompt
        if isinstance(prompt, str):
            ids = chat.text_ids(self.tokenizer, prompt)
        elif prompt and isinstance(prompt[0], int):
            ids = [token for token in prompt if isinstance(token, int)]
            if max(ids) >= len(self.tokenizer):
                raise Refusal(400, "invalid_request", f"prompt: token ids are below {len(self.tokenizer)}")
        elif not chat.renders(self.tokenizer, model):
            if len(prompt) != 1 or question.text.startswith("[["):
                raise Refusal(400, "invalid_request", "messages: this model answers one message of a user, no more")
            ids = chat.text_ids(self.tokenizer, question.text)
        else:
            ids = self._rendered([message for message in prompt if isinstance(message, tuple)])
        if not ids:
            raise Refusal(400, "invalid_request", "the prompt is empty")
        return ids

    def _rendered(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        try:
            said = [{"role": role, "content": text} for role, text in messages]
            return chat.conversation_ids(self.tokenizer, said, self.config.model)
        except Exception as error:  # templates raise what they like
            raise Refusal(400, "invalid_request", f"messages: the chat template refuses them: {error}") from None

    def limit(self, asked: int | None, prompt_tokens: int) -> int:
        """Tokens that an answer may have."""
        most = self.config.sampling.max_new_tokens
        if self.context is not None:
            most = min(most, self.context - prompt_tokens)
        if most < 1:
            raise Refusal(400, "context_length_exceeded", f"the prompt has {prompt_tokens} tokens of {self.context}")
        return min(most, asked or most)


def stick_to(session: str, key: str, trace_id: str) -> str:
    """By what requests are tied to one generation."""
    return content_hash("session", key, session) if session else trace_id


def check(config: RunConfig) -> None:
    """ConfigError for a configuration that is not one of a deployment."""
    if config.deployment is None:
        raise ConfigError('this configuration has no section [deployment]; begin with `extends = "deployment.toml"`')
