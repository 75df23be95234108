"""Several runs side by side. Runs equal but for their seed are the seeds of one arm."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iterdeploy.api.find import find_run
from iterdeploy.api.frames import frame
from iterdeploy.api.look import Run
from iterdeploy.metrics.records import Point
from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_files
from iterdeploy.report.comparison import outcome
from iterdeploy.report.comparison.page import figures, page
from iterdeploy.report.comparison.runs import Arm, CompareError, read_run
from iterdeploy.report.comparison.runs import Comparison as Arms
from iterdeploy.report.comparison.runs import compare as arms_of

if TYPE_CHECKING:
    import pandas


class Comparison:
    """What runs show side by side."""

    def __init__(self, found: Arms) -> None:
        self.found = found

    @property
    def arms(self) -> Sequence[Arm]:
        """Each configuration, with the runs that are its seeds."""
        return self.found.arms

    @property
    def verdict(self) -> str:
        """Which arm is best, by how much, and whether chance may explain it."""
        return outcome.sentence(self.found)

    @property
    def contrasts(self) -> Sequence[outcome.Contrast]:
        """How far each two arms are apart in the last generation that all have."""
        return outcome.contrasts(self.found)

    def coverage(self, arm: Arm) -> Mapping[int, Point]:
        """Generation -> coverage, the mean over the arm's seeds: of held-out tasks where every run has such."""
        return arm.coverage(self.found.split)

    def write(self, page_file: str | Path, figures_folder: str | Path | None = None) -> Path:
        """Writes the page, and every figure as SVG and PDF where a folder is given. Returns the page's path."""
        target = Path(page_file)
        if not target.parent.is_dir():
            raise CompareError(f"--out: there is no folder {target.parent}")
        write_text(target, page(self.found))
        if figures_folder is not None:
            write_files(figures(self.found), Path(figures_folder))
        return target

    def to_pandas(self) -> "pandas.DataFrame":
        """One row for each arm and generation. MissingLibrary without pandas."""
        return frame(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        for arm in self.arms:
            for generation, point in self.coverage(arm).items():
                row = {"arm": arm.title, "seeds": len(arm.runs), "generation": generation}
                yield row | {"coverage": point.value, "low": point.low, "high": point.high}


def compare(*runs: str | Path | Run, runs_dir: str | Path = "runs", margin: float | None = None) -> Comparison:
    """The runs, by name or path, side by side. CompareError for runs that cannot be compared.

    `margin`: a difference in coverage that would not matter, such as 0.05, to say which arms are equivalent.
    """
    names = [str(run.path) if isinstance(run, Run) else str(run) for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CompareError(f"{', '.join(twice)}: named twice; name each run once")
    paths = {name: find_run(name, Path(runs_dir)) for name in names}
    folders = [path.name for path in paths.values()]
    found = []
    for name, path in paths.items():
        run_dir = RunDir.read(path)
        if not run_dir.metrics():
            raise CompareError(f"{path}: no generation has been measured yet; run `iterdeploy resume` first")
        found.append(read_run(run_dir, path.name if folders.count(path.name) == 1 else name))
        run_dir.close()
    return Comparison(arms_of(found, margin))
