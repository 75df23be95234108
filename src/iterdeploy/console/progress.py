"""What a person sees while a run goes on: bars with rate and remaining time on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iterdeploy.console.lines import HEAD, lines
from iterdeploy.record.run_dir import RunDir

Report = Callable[[int, int], None]
"""Called with (done, total)."""

SECONDS_BETWEEN_LINES = 15.0
WIDTH = 180


class Display:
    """Writes to standard error, so that standard output stays free for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False, emoji=False)
        if not self._console.is_terminal:
            self._console.width = WIDTH
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._shown = 0
        """How many generations have a line."""

    @contextmanager
    def bar(self, title: str, unit: str) -> Iterator[Report]:
        """A bar, or lines, for work that is counted in `unit`; bars may be open side by side."""
        meter = Meter()
        if not self._console.is_terminal:
            yield self._lines(title, unit, meter)
            return
        task = self._bars.add_task(title, total=None, rate="")

        def report(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=total, rate=f"{meter.rate(done):,.0f} {unit}/s")

        self._bars.start()
        try:
            yield report
        finally:
            self._bars.remove_task(task)
            if not self._bars.task_ids:
                self._bars.stop()

    def _lines(self, title: str, unit: str, meter: "Meter") -> Report:
        last = time.monotonic()

        def report(done: int, total: int) -> None:
            nonlocal last
            rate = meter.rate(done)
            if done < total and time.monotonic() - last < SECONDS_BETWEEN_LINES:
                return
            last = time.monotonic()
            left = f", {(total - done) / rate:.0f} s left" if rate and done < total else ""
            self._console.print(f"{title}: {done:,} of {total:,} {unit}, {rate:,.0f} {unit}/s{left}")

        return report

    def generation(self, run_dir: RunDir) -> None:
        """A line for each generation that is done and has none yet."""
        for line in lines(run_dir, self._shown):
            if not self._shown:
                self._console.print(HEAD, style="bold")
            self._console.print(line)
            self._shown += 1


class Meter:
    """Units per second since the first report, which says how much was done before."""

    def __init__(self) -> None:
        self._began = 0.0
        self._first: int | None = None

    def rate(self, done: int) -> float:
        if self._first is None:
            self._began, self._first = time.monotonic(), done
        return (done - self._first) / max(1e-9, time.monotonic() - self._began)
