"""What people and programs say of answers: stored as it comes, as often as it comes, and never changed.

Of each user the newest judgement counts. Whoever judges an answer has it, so it was delivered.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from iterdeploy.gateway.callers import Caller
from iterdeploy.gateway.question import Body
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.record.traffic import Traffic, new_id, now
from iterdeploy.types import Feedback, content_hash

Name = Annotated[str, Field(min_length=1, max_length=200)]


class FeedbackBody(Body):
    trace: Name | None = None
    session: Name | None = None
    """All calls of a session, instead of one trace."""
    verdict: Literal["publish", "reject", "correct"] | None = None
    correction: Annotated[str, Field(min_length=1, max_length=1_000_000)] | None = None
    metric: dict[Name, float] = Field(default_factory=dict, max_length=100)
    comment: Annotated[str, Field(max_length=100_000)] = ""
    user: Name | None = None

    @model_validator(mode="after")
    def _says_something_of_something(self) -> "FeedbackBody":
        if (self.trace is None) == (self.session is None):
            raise ValueError("name either a trace or a session")
        if (self.verdict == "correct") != (self.correction is not None):
            raise ValueError('a correction comes with the verdict "correct", and that with a correction')
        if self.verdict is None and not self.metric:
            raise ValueError("say a verdict or a metric")
        if not all(map(math.isfinite, self.metric.values())):
            raise ValueError("metrics are finite numbers")
        return self


@dataclass(frozen=True, slots=True)
class Judged:
    """One piece of feedback that is stored."""

    id: str
    trace: str
    status: str
    """What the validator says of the trace."""
    reason: str


def give(traffic: Traffic, said: FeedbackBody, who: Caller, retry: str | None) -> list[Judged]:
    """Stores the feedback, for each trace that it is about. The same retry is stored once.

    Refusal, 404 for what is not there, 409 for what a user had forgotten."""
    ids = [said.trace] if said.trace is not None else _of_session(traffic, str(said.session), who)
    return [_give(traffic, trace_id, said, who, retry) for trace_id in ids]


def _give(traffic: Traffic, trace_id: str, said: FeedbackBody, who: Caller, retry: str | None) -> Judged:
    if traffic.forgotten(trace_id):
        raise Refusal(
            409, "forgotten", "this trace was deleted: its user was forgotten, or it was to be kept no longer"
        )
    origin = traffic.origin(trace_id)
    if origin is None:
        raise Refusal(404, "trace_not_found", f"there is no trace {trace_id!r} that somebody asked for")
    (trace,) = traffic.store.light([trace_id])
    feedback_id = new_id() if retry is None else content_hash("feedback", retry, trace_id)
    made = Feedback(
        id=feedback_id,
        trace_id=trace_id,
        user=who.user or who.key.name,
        judgement=said.verdict or "metric",
        correction=said.correction,
        metrics=dict(said.metric),
        comment=said.comment,
        at=now(),
        consent="train" if who.train else "no",
    )
    if not any(known.id == feedback_id for known in traffic.store.feedback(trace_id)):
        traffic.store.add_feedback([made])
    if not origin.delivered:
        traffic.deliver(trace_id)
    return Judged(feedback_id, trace_id, trace.verdict.status.value, trace.verdict.reason)


def _of_session(traffic: Traffic, session: str, who: Caller) -> list[str]:
    found = [origin.trace_id for origin in traffic.of_session(session, who.key.name)]
    if not found:
        raise Refusal(404, "session_not_found", f"there is no session {session!r} of this key")
    return found
