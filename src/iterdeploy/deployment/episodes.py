"""A batch of answers on its way, in one turn or in several: what the policy said, what it read, and how it ended.

A task of one turn is an episode of one call. In an environment, a turn of the whole batch is sampled at once; an
episode that is over leaves it. A turn's seed depends on the batch and on the turn's number.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from iterdeploy.deployment import Request
from iterdeploy.samplers import Failed, PromptBatch
from iterdeploy.tasks import Shown
from iterdeploy.tasks.environment import Reply, observations_of, told
from iterdeploy.tasks.judging import Judges
from iterdeploy.types import Completion, Conversation, Demonstration, Observation, Prompt, Verdict, content_hash

Fits = Callable[[Prompt], bool]
"""Whether a prompt leaves enough of an episode's tokens for one more call."""


@dataclass
class Episode:
    request: Request
    shown: tuple[Demonstration, ...] = ()
    observed: list[Observation] = field(default_factory=list)
    calls: list[Completion] = field(default_factory=list)
    verdict: Verdict | None = None
    """None while it goes on."""

    @property
    def prompt(self) -> Prompt:
        """What the model is asked with next: the task with what the environment says at the start, then what it says
        to each action."""
        first, *later = [self.request.task.prompt, *(observation.text for observation in self.observed)]
        messages = (first + "".join(later[:1]), *later[1:])
        if not self.calls:
            return Conversation.opening(messages[0], self.shown)
        return Conversation(messages, tuple(self.calls), self.shown)

    def hear(self, reply: Reply, fits: Fits) -> None:
        if isinstance(reply, Observation):
            self.observed.append(reply)
            if not self.calls or fits(self.prompt):
                return
            reply = Verdict.truncated()
        self.verdict = told(reply, self.observed) if self.observed and not observations_of(reply) else reply


class Flight:
    """The episodes of a batch, which are stored together."""

    def __init__(self, requests: Sequence[Request], seed: int, shown: Shown = lambda task: ()) -> None:
        self.episodes = [Episode(request, shown(request.task)) for request in requests]
        self._seed = seed
        self._turn = 0

    @property
    def going(self) -> list[Episode]:
        return [episode for episode in self.episodes if episode.verdict is None]

    def begin(self, judges: Judges, fits: Fits) -> None:
        """In an environment the model first reads what it says at the start."""
        if judges.turns > 1:
            self._hear(self.going, judges, fits)

    def asked(self) -> PromptBatch:
        """The next turn of the episodes that go on."""
        seed = int(content_hash(self._seed, self._turn)[:15], 16) if self._turn else self._seed
        return PromptBatch([episode.prompt for episode in self.going], seed)

    def take(self, answers: Sequence[Completion | Failed], judges: Judges, fits: Fits) -> None:
        """What the policy said in this turn. Where a server had no answer, the episode ends as an ERROR."""
        self._turn += 1
        heard = []
        for episode, answer in zip(self.going, answers, strict=True):
            if isinstance(answer, Completion):
                episode.calls.append(answer)
                heard.append(episode)
            else:
                episode.calls.append(nothing(answer.prompt_token_ids))
                episode.hear(Verdict.error(answer.reason, validator="none"), fits)
        self._hear(heard, judges, fits)

    def ended(self) -> Iterator[tuple[Request, Sequence[Completion], Verdict]]:
        for episode in self.episodes:
            assert episode.verdict is not None
            yield episode.request, episode.calls or [nothing(())], episode.verdict

    def _hear(self, episodes: Sequence[Episode], judges: Judges, fits: Fits) -> None:
        replies = judges.replies([(episode.request.task, tuple(episode.calls)) for episode in episodes])
        for episode, reply in zip(episodes, replies, strict=True):
            episode.hear(reply, fits)


def nothing(prompt_token_ids: Sequence[int]) -> Completion:
    """Stands for an answer that there is not."""
    return Completion("", tuple(prompt_token_ids), (), None, "error", 0)
