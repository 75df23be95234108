"""Where the traces of a generation come from: sampled here, or brought by others.

A deployment is asked for the answers that are still owed and hands over finished, judged traces, in any order. It
keeps nothing: the loop stores what it hands over, under keys that are never asked for again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from iterdeploy.types import Policy, Task, Trace


@dataclass(frozen=True, slots=True)
class Request:
    """One answer that is wanted."""

    task: Task
    sample_index: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Traces that are stored together, all or none, with the tasks that they answer."""

    requests: Sequence[Request]
    traces: Sequence[Trace]


class Deployment(Protocol):
    def traces(self, policy: Policy, owed: Sequence[Sequence[Request]]) -> Iterator[Batch]:
        """The traces of the policy for all requests that are owed. Each batch of requests is answered whole."""
        ...
