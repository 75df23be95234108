"""Which traces a page's file holds, where there are too many for all."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from iterdeploy.record.store import TaskFacets, TraceStore
from iterdeploy.report.facts.playback import scene_of
from iterdeploy.report.facts.records import asked, entry, opened, page_json, trained_by
from iterdeploy.types import TrainingPool

MOST_TRACES = 600
"""In the file; more only if there are more kinds of traces, each of which is shown."""
MOST_BYTES = 8_000_000
"""Of JSON in the file."""
SAME_TASK_TRACES = 240
"""So many of them, at most, to show how the answers to some tasks change over the generations."""
LONGEST_TEXT = 20_000
"""Characters of a prompt or an answer in the file."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The traces that the file holds."""

    total: int
    """How many the run has."""
    traces: Sequence[Mapping[str, Any]]
    """As `records` makes them, in the order of their writing."""
    tasks: Mapping[str, Mapping[str, Any]]


def choose(store: TraceStore, measured: int, pools: Mapping[int, TrainingPool]) -> Sample:
    """All answers to a handful of tasks, and some of every generation, verdict and domain and of every pool.

    Among equals those with the smallest ids, which are hashes: nobody looked at them. `measured`: how many
    generations are; no other is looked at.
    """
    trained = trained_by(pools)
    kinds: dict[str, TaskFacets] = {}
    asked_in: dict[str, set[int]] = defaultdict(set)
    alike: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    total = 0
    for one in store.written():
        if one.generation >= measured:
            continue
        total += 1
        if one.task_id not in kinds:
            kinds[one.task_id] = store.kind(one.task_id)
        asked_in[one.task_id].add(one.generation)
        alike["verdict", one.generation, one.status, kinds[one.task_id].domain].append(one.id)
        for generation in trained.get(one.id, ()):
            alike["pool", generation].append(one.id)
    first, *others = zip_longest(*(sorted(ids) for _, ids in sorted(alike.items()))) if alike else [()]
    ids = dict.fromkeys([trace_id for trace_id in first if trace_id is not None])
    ids |= dict.fromkeys(_same_tasks(store, kinds, asked_in))
    for trace_id in (trace_id for rank in others for trace_id in rank if trace_id is not None):
        if len(ids) >= MOST_TRACES:
            break
        ids[trace_id] = None
    return _sample(store, ids, trained, total)


def _same_tasks(store: TraceStore, kinds: Mapping[str, TaskFacets], asked_in: Mapping[str, set[int]]) -> Iterator[str]:
    """All answers to a few tasks of every domain and split, of those that were asked in the most generations."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for task_id in sorted(kinds, key=lambda one: (-len(asked_in[one]), one)):
        groups[kinds[task_id].domain, kinds[task_id].split].append(task_id)
    count = 0
    for rank in zip_longest(*(group for _, group in sorted(groups.items()))):
        for task_id in filter(None, rank):
            found = [one.id for one in store.listed_of_task(task_id) if one.generation in asked_in[task_id]]
            count += len(found)
            if count > SAME_TASK_TRACES:
                return
            yield from found


def _sample(store: TraceStore, ids: Iterable[str], trained: Mapping[str, Sequence[int]], total: int) -> Sample:
    """The records of as many of the traces as there is room for."""
    tasks: dict[str, Mapping[str, Any]] = {}
    traces: list[Mapping[str, Any]] = []
    room = MOST_BYTES
    rows = {one.id: one.row for one in store.written_of(ids)}
    for trace in store.each(rows):
        task = store.task(trace.task_id)
        scene = scene_of(task.payload)
        (listed,) = store.listed([rows[trace.id]])
        record = {**entry(listed, trained.get(trace.id, ())), **opened(trace, task, scene, LONGEST_TEXT)}
        about = asked(task, scene, LONGEST_TEXT)
        room -= len(page_json(record)) + (0 if task.id in tasks else len(page_json(about)))
        if room < 0:
            break
        traces.append(record)
        tasks[task.id] = about
    return Sample(total, sorted(traces, key=lambda one: int(one["row"])), tasks)
