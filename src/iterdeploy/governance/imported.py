"""Chats from elsewhere, with what people said of them: one JSON object a line, made into traces with feedback.

    {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}],
     "verdict": "publish" | "reject", "score": 0.8, "user": ..., "session": ..., "train": false, "id": ...}

The last message is the answer. Instead of `verdict` there may be a `score`, of which 0.5 and more publishes, or
`thumbs`, "up" or "down"; with none of them the answer is unjudged. Exports of other systems are read as well: `input`
and `output` with `scores`, `userId` and `sessionId` (Langfuse), and `messages` with `choices` (OpenAI's stored
completions).

Nothing is known of how they were sampled: their text is tokenised here, and they are marked so and have no
log-probabilities.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from iterdeploy.config import RunConfig
from iterdeploy.models import chat
from iterdeploy.models.loading import end_ids
from iterdeploy.record.traffic import Origin, Traffic, now
from iterdeploy.sections import UserError
from iterdeploy.tasks import TaskSet
from iterdeploy.tasks.judging import verdicts
from iterdeploy.types import Completion, Feedback, Policy, Sampling, Split, Task, Trace, Verdict, content_hash

SOURCE = "imported (re-tokenised)"
PUBLISHED = 0.5
"""Least score that publishes."""


class Turn(BaseModel):
    model_config = ConfigDict(frozen=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class Line(BaseModel):
    """One line, whatever it calls its fields."""

    model_config = ConfigDict(frozen=True)
    messages: tuple[Turn, ...] = Field(min_length=2)
    verdict: Literal["publish", "reject"] | None = None
    user: str = ""
    session: str = ""
    train: bool | None = None
    id: str = ""
    metrics: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _in_our_words(cls, said: Any) -> Any:
        if not isinstance(said, dict):
            return said
        found = {key: value for key, value in said.items() if value is not None and key in cls.model_fields}
        found.setdefault("user", said.get("userId") or "")
        found.setdefault("session", said.get("sessionId") or "")
        found["id"] = str(said.get("id", ""))
        if "input" in said and "output" in said:
            asked = said["input"]["messages"] if isinstance(said["input"], dict) else said["input"]
            found["messages"] = [*_turns(asked, "user"), *_turns(said["output"], "assistant")]
        elif said.get("choices"):
            found["messages"] = [*said.get("messages", ()), said["choices"][0]["message"]]
        scores = {str(one["name"]): float(one["value"]) for one in said.get("scores") or () if "value" in one}
        if "score" in said:
            scores["score"] = float(said["score"])
        if "thumbs" in said:
            scores["thumbs"] = float(said["thumbs"] in ("up", True, 1))
        if scores:
            found["metrics"] = scores
            found.setdefault("verdict", "publish" if min(scores.values()) >= PUBLISHED else "reject")
        return found

    @model_validator(mode="after")
    def _ends_with_an_answer(self) -> "Line":
        if self.messages[-1].role != "assistant" or not self.messages[-1].content:
            raise ValueError("the last message is the assistant's, and not empty")
        return self


def _turns(said: Any, role: str) -> list[Any]:
    if isinstance(said, str):
        return [{"role": role, "content": said}]
    return [said] if isinstance(said, dict) else list(said)


@dataclass(frozen=True, slots=True)
class Imported:
    traces: int
    judged: int
    known: int
    """Traces that were there already."""


def import_file(file: Path, traffic: Traffic, base: Policy, config: RunConfig, tasks: TaskSet) -> Imported:
    """Stores every line once, all or none. UserError, which names the line, for one that cannot be read."""
    rows = list(_lines(file))
    folder = Path(base.base_model)
    tokenizer = chat.load_tokenizer(folder, config.model)
    end = min(end_ids(folder, tokenizer))
    known = {task.prompt: task for task in tasks.deployed(0)}
    held_out = {task.prompt for task in tasks.held_out}
    train = config.deployment.train if config.deployment else True
    stored = judged = there = 0
    with traffic.store.together(), tasks.judges() as judges:
        for row in rows:
            asked = row.messages[:-1]
            prompt = asked[0].content if len(asked) == 1 else json.dumps([[turn.role, turn.content] for turn in asked])
            task = known.get(prompt) or Task.make(
                domain="traffic",
                size=len(prompt),
                split=Split.HELD_OUT if prompt in held_out else Split.DEPLOYED,
                prompt=prompt,
            )
            completion = _completion(row, asked, tokenizer, end, config)
            trace_id = content_hash("imported", row.id, prompt, completion.text)
            if traffic.origin(trace_id) is not None or traffic.forgotten(trace_id):
                there += 1
                continue
            verdict = verdicts(judges, [(task, [completion])])[0] if task.payload else Verdict.unjudged()
            trace = Trace.make(
                task,
                generation=0,
                sample_index=traffic.next_sample(task.id, 0),
                policy_id="imported",
                sampling=Sampling(1.0, len(completion.token_ids), config.model.dtype),
                completions=[completion],
                verdict=verdict,
                source=SOURCE,
            )
            traffic.store.add({task.id: task}, [replace(trace, id=trace_id)], {})
            agreed = train if row.train is None else row.train
            traffic.add(Origin(trace_id, row.user, "", row.session, now(), agreed, "", True, None, trace_id))
            stored += 1
            if row.verdict is not None:
                traffic.store.add_feedback([_feedback(row, trace_id, agreed)])
                judged += 1
    return Imported(stored, judged, there)


def _completion(row: Line, asked: Sequence[Turn], tokenizer: Any, end: int, config: RunConfig) -> Completion:
    if chat.renders(tokenizer, config.model):
        turns = [{"role": turn.role, "content": turn.content} for turn in asked]
        prompt = chat.conversation_ids(tokenizer, turns, config.model)
    else:
        prompt = chat.text_ids(tokenizer, "\n\n".join(turn.content for turn in asked))
    ids = [*chat.text_ids(tokenizer, row.messages[-1].content), end]
    made = chat.completion(tokenizer, prompt, ids, None, "stop")
    return replace(made, text=row.messages[-1].content)


def _feedback(row: Line, trace_id: str, agreed: bool) -> Feedback:
    return Feedback(
        id=content_hash("imported feedback", trace_id),
        trace_id=trace_id,
        user=row.user,
        judgement=str(row.verdict),
        correction=None,
        metrics=row.metrics,
        comment="",
        at=now(),
        consent="train" if agreed else "no",
    )


def _lines(file: Path) -> Iterator[Line]:
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            yield Line.model_validate_json(text)
        except ValidationError as error:
            raise UserError(f"{file}, line {number}: {error.errors()[0]['msg']}; nothing was stored") from None
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(f"{file}, line {number}: it does not have the form of a chat: {error!r}") from None
