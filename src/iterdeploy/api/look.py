"""A run that is there: finished, stopped, or still going on in another process. Nothing here changes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from iterdeploy.api.find import find_run
from iterdeploy.api.frames import frame
from iterdeploy.config import RunConfig
from iterdeploy.metrics.frontier import Frontier
from iterdeploy.metrics.paired import Paired
from iterdeploy.metrics.records import Diversity, Drift, Point
from iterdeploy.metrics.results import TaskResult, solved
from iterdeploy.metrics.standing import standings
from iterdeploy.record.outputs import State
from iterdeploy.record.run_dir import RunDir
from iterdeploy.types import Split, Status, Task, Trace

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Generation:
    """What was measured of one generation. Coverage is the mean share of valid answers over tasks, from 0 to 1."""

    number: int
    held_out: Point | None
    """Coverage of the held-out tasks with its 95% interval; None where there are none."""
    deployed: Point | None
    """Coverage of the tasks that it was deployed on, with its 95% interval."""
    frontiers: Mapping[str, Frontier]
    """Domain -> the largest size of held-out task of which a tenth is solved."""
    change: Paired | None
    """Held-out coverage against generation 0, task by task; None for generation 0 itself."""
    verdicts: Mapping[str, int]
    """valid, invalid, unparseable, truncated, error -> answers."""
    diversity: Mapping[str, Diversity | None]
    """By split."""
    drift: Drift | None
    """How far its policy is from that of generation 0; None where no log-probabilities were recorded."""
    pool: Mapping[str, float]
    """Trace id -> weight of the traces that trained it; empty for the base model."""
    seconds: Mapping[str, float]
    """sampling and validation of its answers, training of the next generation, other -> wall time."""


class Run:
    """A run by its name or its path, for reading only. Also a context manager, which closes its store."""

    def __init__(self, run: str | Path, runs_dir: str | Path = "runs") -> None:
        """RunDirError where there is no such run, or where its files are not as it left them."""
        self._folder = RunDir.read(find_run(run, Path(runs_dir)))

    def __repr__(self) -> str:
        return f"<Run {self.name}: {self.state.name}, {self.measured} generations measured>"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def config(self) -> RunConfig:
        """The resolved configuration, which reproduces the run."""
        return self._folder.config

    @property
    def state(self) -> State:
        return self._folder.state()

    @property
    def measured(self) -> int:
        """How many generations have been measured so far."""
        return len(self._folder.metrics())

    @property
    def generations(self) -> list[Generation]:
        """The generations that have been measured so far, in order."""
        results = self._results()
        temperature = self.config.sampling.temperature
        measured = {one.generation: one for one in standings(results, temperature) if one.temperature == temperature}
        seconds = self._folder.store.seconds()
        found = []
        for metrics in self._folder.metrics():
            number = metrics.generation
            own = [row for row in results if row.generation == number and row.temperature is None]
            standing = measured.get(number)
            pool = self._folder.pool(number - 1) if number else None
            found.append(
                Generation(
                    number=number,
                    held_out=solved(row for row in own if row.split == Split.HELD_OUT),
                    deployed=solved(row for row in own if row.split == Split.DEPLOYED),
                    frontiers=standing.frontiers if standing else {},
                    change=standing.paired if standing else None,
                    verdicts=metrics.verdicts,
                    diversity=metrics.diversity,
                    drift=metrics.drift,
                    pool=pool.weights if pool else {},
                    seconds=seconds.get(number, {}),
                )
            )
        return found

    @property
    def verdict(self) -> str:
        """Did the loop work? In a sentence or two."""
        from iterdeploy.report.facts.verdict import outcome

        return outcome(self._results(), self.config.sampling.temperature).sentence

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        """Task id -> task, of all that were asked."""
        return {task.id: task for task in self._folder.store.tasks()}

    def traces(
        self,
        *,
        generation: int | None = None,
        split: str | None = None,
        status: str | None = None,
        task: str | None = None,
        limit: int | None = None,
    ) -> "Traces":
        """The traces of a generation, of a split (deployed, held_out), with a verdict (valid, invalid, ...), of one
        task, by its id; at most `limit`. ValueError for a split or a status that does not exist."""
        return Traces(
            self,
            self._folder,
            {
                "generation": generation,
                "split": Split(split) if split else None,
                "status": Status(status) if status else None,
                "task": task,
            },
            limit,
        )

    def report(self) -> Path:
        """Writes report.html into the run's folder, and returns its path."""
        from iterdeploy.report import write_report

        return write_report(self._folder)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row for each generation that has been measured. MissingLibrary (a UserError) without pandas."""
        return frame(map(_row, self.generations))

    def close(self) -> None:
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _results(self) -> list[TaskResult]:
        return list(self._folder.store.results(self.measured))


class Traces:
    """Some of a run's traces in the order (generation, task, sample index), read from its store as they are gone
    through; what the model wrote (`trace.text`, `trace.completions`) is read when it is looked at."""

    def __init__(self, run: Run, folder: RunDir, wanted: Mapping[str, Any], limit: int | None) -> None:
        self._run = run
        self._folder = folder
        self._wanted = wanted
        self._limit = limit

    def __iter__(self) -> Iterator[Trace]:
        return islice(self._folder.store.traces(**self._wanted), self._limit)

    def to_pandas(self) -> "pandas.DataFrame":
        """One row for each trace, with the columns of `iterdeploy traces --json`. MissingLibrary without pandas."""
        return frame(self.rows())

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Each trace as plain data: column -> value."""
        from iterdeploy.export.columns import IN_TOKENS, trace_columns, trace_row, trained_by

        trained = trained_by(self._folder)
        columns = [name for name in trace_columns(self._folder.config) if name not in IN_TOKENS]
        for trace in self:
            row = trace_row(trace, self._run.tasks[trace.task_id].prompt, trained.get(trace.id, []))
            yield {name: row[name] for name in columns}


def _row(generation: Generation) -> dict[str, Any]:
    row: dict[str, Any] = {"generation": generation.number}
    for name, point in (("held_out", generation.held_out), ("deployed", generation.deployed)):
        if point is not None:
            row |= {name: point.value, f"{name}_low": point.low, f"{name}_high": point.high}
    for domain, found in generation.frontiers.items():
        row["frontier" if len(generation.frontiers) == 1 else f"frontier_{domain}"] = found.size
    row["pool"] = len(generation.pool)
    row |= generation.verdicts
    return row | {f"seconds_{activity}": spent for activity, spent in generation.seconds.items()}
