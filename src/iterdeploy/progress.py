"""What a person sees while a run goes on: bars with rate and remaining time on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iterdeploy.run_dir import RunDir
from iterdeploy.summary import generations, table

Advance = Callable[[int, int], None]
"""Called with (done, in all)."""

SECONDS_BETWEEN_LINES = 15.0


class Display:
    """Writes to standard error, so that standard output stays free for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        if not self._console.is_terminal:
            self._console.width = 180

    @contextmanager
    def bar(self, title: str, unit: str, total: int = 0) -> Iterator[Advance]:
        if self._console.is_terminal:
            with self._live_bar(title, unit, total) as advance:
                yield advance
        else:
            yield self._lines(title, unit)

    def generation(self, run_dir: RunDir, number: int) -> None:
        """The table so far, when a generation is done."""
        self._console.print(table(generations(run_dir)))

    @contextmanager
    def _live_bar(self, title: str, unit: str, total: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=total or None, rate="")
            began, first = time.monotonic(), None

            def advance(done: int, all_: int) -> None:
                nonlocal first
                first = done if first is None else first
                rate = (done - first) / max(1e-9, time.monotonic() - began)
                progress.update(task, completed=done, total=all_, rate=f"{rate:,.0f} {unit}/s")

            yield advance

    def _lines(self, title: str, unit: str) -> Advance:
        began = last = time.monotonic()
        start: int | None = None

        def advance(done: int, all_: int) -> None:
            nonlocal last, start
            now = time.monotonic()
            start = 0 if start is None else start
            if done < all_ and now - last < SECONDS_BETWEEN_LINES:
                return
            last = now
            rate = (done - start) / max(1e-9, now - began)
            left = (all_ - done) / rate if rate else float("inf")
            self._console.print(f"{title}: {done:,} of {all_:,} {unit}, {rate:,.0f} {unit}/s, {left:.0f} s left")

        return advance
