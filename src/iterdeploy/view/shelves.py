"""A run's report served from its store: the same page, for runs too large for one file, while they go on.

Traces are found by what they are about: generation, verdict, domain, size, split. Each combination that occurs has a
shelf, the rows of its traces in the order of their writing, kept in memory (8 bytes a trace) and brought up to date
with what was written since. So counts are sums over shelves and a page of a list is cut from their ends, whatever the
size of the store; the rows themselves are read when they are shown. Everything opens the store for reading only.
"""

import logging
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TaskFacets, TraceRef, TraceStore
from iterdeploy.redaction import without_keys
from iterdeploy.report.explorer.section import edition
from iterdeploy.report.facts.contents import read
from iterdeploy.report.facts.playback import scene_of
from iterdeploy.report.facts.records import asked, entry, opened
from iterdeploy.report.page import page

log = logging.getLogger(__name__)

FACETS = ("generation", "verdict", "domain", "size", "split")
LONGEST_TEXT = 1_000_000
"""Characters of a text in one answer."""
REPAINT = 2.0
"""Seconds between looks at whether the page should be made anew."""

Shelves = dict[tuple[str, ...], "array[int]"]
"""The values of the facets -> rows, ascending."""
Filters = Mapping[str, str]
"""Names of facets, or "pool", -> the value that is wanted."""


@dataclass(frozen=True, slots=True)
class RenderedPage:
    html: bytes
    edition: str
    """Another one where the page says something else."""
    measured: int
    """Generations that it knows of."""


class View:
    """Answers every question about one run. Safe to be asked from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._kinds: dict[str, TaskFacets] = {}
        self._last_row = 0
        self._shelves: Shelves = {}
        self._pools: dict[int, Shelves] = {}
        self._trained: dict[str, list[int]] = {}
        self.trouble = ""
        """Why the page cannot be made anew; empty where it can."""
        self._catch_up()
        self.page = self._paint()

    def keep_painting(self) -> None:
        """Makes the page anew whenever it would say something else; never returns. What fails is tried again."""
        while True:
            time.sleep(REPAINT)
            try:
                self.repaint()
                self.trouble = ""
            except Exception as error:  # of any kind: once it has passed, the page must be brought up to date
                trouble = f"The page cannot be brought up to date: {explained(error)}"
                if trouble != self.trouble:
                    log.warning("%s", trouble)
                self.trouble = trouble

    def repaint(self) -> None:
        """Makes the page anew if it would say something else."""
        run_dir = RunDir.read(self.path, whole=False)
        measured = len(run_dir.metrics())
        pools = sum((self.path / f"generation-{number}" / "curated.json").exists() for number in range(measured))
        now = edition(measured, pools, run_dir.state())
        run_dir.close()
        if now != self.page.edition:
            self.page = self._paint()

    def _paint(self) -> RenderedPage:
        run_dir = RunDir.read(self.path, whole=False)
        contents = read(run_dir, live=True)
        run_dir.close()
        told = edition(len(contents.metrics), len(contents.pools), contents.state)
        return RenderedPage(page(contents, live=True).encode(), told, len(contents.metrics))

    def state(self) -> dict[str, Any]:
        self._catch_up()
        return {
            "traces": _count(self._shelves.values()),
            "page": self.page.edition,
            "measured": self.page.measured,
            "trouble": self.trouble,
        }

    def traces(self, filters: Filters, after: int, limit: int) -> dict[str, Any]:
        """The traces that pass the filters, those after row `after`, and how many there are under other filters."""
        self._catch_up()
        with self._lock:
            shelves = [rows for key, rows in self._pool(filters).items() if _fits(key, filters)]
            total = _count(shelves)
            starts = [bisect_right(rows, after) for rows in shelves]
            ends = [rows[start : start + limit + 1] for rows, start in zip(shelves, starts, strict=True)]
            facets = {name: self._facet(name, filters) for name in FACETS} | {"pool": self._pool_facet(filters)}
        found = sorted(chain.from_iterable(ends))
        store = self._store()
        listed = [entry(one, self._trained.get(one.id, ())) for one in store.listed(found[:limit])]
        store.close()
        more = found[limit - 1] if len(found) > limit else None
        return {"traces": listed, "next": more, "total": total, "facets": facets}

    def trace(self, trace_id: str) -> dict[str, Any]:
        """All of a trace, of its task, and what a list says of all answers to it. KeyError if it is not there."""
        self._catch_up()
        store = self._store()
        try:
            (trace,) = store.each([trace_id])
            task = store.task(trace.task_id)
            answers = [entry(one, self._trained.get(one.id, ())) for one in store.listed_of_task(task.id)]
        finally:
            store.close()
        scene = scene_of(task.payload)
        (own,) = [one for one in answers if one["id"] == trace_id]
        return {
            "trace": {**own, **opened(trace, task, scene, LONGEST_TEXT)},
            "task": asked(task, scene, LONGEST_TEXT),
            "answers": answers,
        }

    def _store(self) -> TraceStore:
        return TraceStore(self.path / "traces.sqlite", read_only=True)

    def _catch_up(self) -> None:
        """Shelves what has been written, and the pools that have been made, since the last time."""
        with self._lock:
            store = self._store()
            for one in store.written(self._last_row):
                self._shelve(self._shelves, one, store)
                self._last_row = one.row
            run_dir = RunDir.reading(self.path, store)
            while (pool := run_dir.pool(len(self._pools))) is not None:
                generation = len(self._pools) + 1
                shelves: Shelves = {}
                for one in sorted(store.written_of(pool.weights), key=lambda one: one.row):
                    self._shelve(shelves, one, store)
                    self._trained.setdefault(one.id, []).append(generation)
                self._pools[generation] = shelves
            store.close()

    def _shelve(self, shelves: Shelves, one: TraceRef, store: TraceStore) -> None:
        kind = self._kinds.get(one.task_id)
        if kind is None:
            kind = self._kinds[one.task_id] = store.kind(one.task_id)
        key = (str(one.generation), one.status, kind.domain, str(kind.size), kind.split)
        if key not in shelves:
            shelves[key] = array("q")
        shelves[key].append(one.row)

    def _pool(self, filters: Filters) -> Shelves:
        """The shelves of the pool that is asked for; all where none is."""
        if "pool" not in filters:
            return self._shelves
        return next((shelves for number, shelves in self._pools.items() if str(number) == filters["pool"]), {})

    def _facet(self, name: str, filters: Filters) -> list[tuple[str | int, int]]:
        """The values that occur given the other filters, with their counts."""
        place = FACETS.index(name)
        others = {key: value for key, value in filters.items() if key != name}
        counts: dict[str, int] = {}
        for key, rows in self._pool(filters).items():
            if _fits(key, others):
                counts[key[place]] = counts.get(key[place], 0) + len(rows)
        return [(int(value) if name in ("generation", "size") else value, count) for value, count in counts.items()]

    def _pool_facet(self, filters: Filters) -> list[tuple[int, int]]:
        counts = {
            generation: _count(rows for key, rows in shelves.items() if _fits(key, filters))
            for generation, shelves in self._pools.items()
        }
        return [(generation, count) for generation, count in counts.items() if count]


def explained(error: Exception) -> str:
    """What failed, in a sentence that may go into a page."""
    return without_keys(str(error) or type(error).__name__)


def _fits(key: Sequence[str], filters: Filters) -> bool:
    return all(filters.get(name, value) == value for name, value in zip(FACETS, key, strict=True))


def _count(shelves: Iterable["array[int]"]) -> int:
    return sum(map(len, shelves))
