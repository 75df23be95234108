"""The traces on the page: which ones its file holds, and the explorer that shows them (`explorer/`, JavaScript).

A model's answer is hostile text. It travels as JSON that HTML cannot misread (`records.page_json`), and the explorer
puts it into the page as text alone, with unseen characters as their numbers, as `markup.text` does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from iterdeploy.report.markup import element, text
from iterdeploy.report.playback import scene_of
from iterdeploy.report.records import asked, entry, opened, page_json, trained_by
from iterdeploy.store import Kind, TraceStore

if TYPE_CHECKING:
    from iterdeploy.report.contents import Contents

MOST_TRACES = 600
"""In the file; more only if there are more kinds of traces, each of which is shown."""
MOST_BYTES = 8_000_000
"""Of JSON in the file."""
SAME_TASK_TRACES = 240
"""So many of them, at most, to show how the answers to some tasks change over the generations."""
LONGEST_TEXT = 20_000
"""Characters of a prompt or an answer in the file."""

SCRIPTS = ("text", "place", "source", "film", "blocks", "sokoban", "facts", "player", "trace", "list", "main")
"""The explorer's files in the order in which they are joined into one module."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The traces that the file holds."""

    total: int
    """How many the run has."""
    traces: Sequence[Mapping[str, Any]]
    """As `records` makes them, in the order of their writing."""
    tasks: Mapping[str, Mapping[str, Any]]


def choose(store: TraceStore, metrics: Sequence[Mapping[str, Any]], pools: Mapping[int, Mapping[str, Any]]) -> Sample:
    """All answers to a handful of tasks, and some of every generation, verdict and domain and of every pool.

    Among equals those with the smallest ids, which are hashes: nobody looked at them. Only measured generations.
    """
    trained = trained_by(pools)
    kinds: dict[str, Kind] = {}
    asked_in: dict[str, set[int]] = defaultdict(set)
    alike: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    total = 0
    for one in store.written():
        if one.generation >= len(metrics):
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


def _same_tasks(store: TraceStore, kinds: Mapping[str, Kind], asked_in: Mapping[str, set[int]]) -> Iterator[str]:
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


def section(contents: "Contents", *, live: bool = False) -> str:
    """The explorer's place in the page and, unless a server answers for it (`live`), its data."""
    data: dict[str, Any] = {"live": live, "run": contents.name}
    if live:
        data["page"] = edition(len(contents.metrics), len(contents.pools), contents.state)
    else:
        sample = contents.samples
        data |= {"traces": sample.traces, "tasks": sample.tasks, "partial": len(sample.traces) < sample.total}
    printed = element("code", text(join(["iterdeploy", "traces", contents.name, "--json"])))
    without = element(
        "p", "Traces are shown by a script, and scripts are off: ", printed, " prints them.", class_="note"
    )
    return element(
        "section",
        element("h2", "Traces", id="traces"),
        element("p", _told(contents, live), class_="note"),
        element("noscript", without),
        element("div", id="explorer"),
        element("script", page_json(data), type="application/json", id="traces-data"),
        aria_labelledby="traces",
    )


def _told(contents: "Contents", live: bool) -> str:
    """What is shown of what there is."""
    if live:
        return "All traces of the run, in the order of their writing; new ones appear while it goes on."
    shown, total = len(contents.samples.traces), contents.samples.total
    if shown == total:
        return text(f"All {total:,} traces of the run." if total else "The run has no traces yet.")
    view = element("code", text(join(["iterdeploy", "view", contents.name])))
    return (
        text(
            f"{shown:,} of {total:,} traces: all answers to a few tasks, and some of every generation, verdict, domain "
            "and pool, chosen by their ids, which are hashes, and not by their looks. The counts are of these. "
        )
        + f"{view} shows all."
    )


def edition(measured: int, pools: int, state: Mapping[str, Any]) -> str:
    """Of a page: another one where a page made now would say something else."""
    return f"{measured} measured, {pools} pools, {state['state']}"


def scripts() -> list[str]:
    """The page's scripts, each to stand in an element of its own, as a module."""
    return ["\n".join(_file(f"{name}.js") for name in SCRIPTS)]


def style() -> str:
    """What the explorer adds to the page's style."""
    return _file("style.css")


def _file(name: str) -> str:
    return (Path(__file__).with_name("explorer") / name).read_text(encoding="utf-8")
