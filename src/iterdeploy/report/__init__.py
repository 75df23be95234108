"""report.html of a run: one file that needs nothing else, from the run's folder alone.

    facts/        what the report says, read from the folder; what the store counts; the traces that the file holds;
                  the sentence that tells whether the loop worked
    figures/      what each figure and table shows
    drawing/      a figure and how it is painted; tables as data, with where their cells lead
    html/         the only place that escapes text; the frame of a page, with its look
    explorer/     the traces in the page: the script that shows them, and its data
    sections.py   which figures and tables stand where; numbers.py the table with everything; setting.py what ran;
                  findings.py the tables of the audit and the theory
    page.py       the page of a run
    comparison/   the page of several runs

Matplotlib is imported when a figure is drawn, so `facts` and `tables` cost nothing to import.
"""

from collections.abc import Iterable
from pathlib import Path

from iterdeploy.record.files import write_text
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.facts.contents import read
from iterdeploy.report.page import page
from iterdeploy.report.sections import figures


def write_report(run_dir: RunDir, target: Path | None = None) -> Path:
    """Writes the page of the run, whatever state it is in, and returns its path: report.html in the run's folder, or
    `target`."""
    target = target or run_dir.path / "report.html"
    write_text(target, page(read(run_dir)))
    return target


def write_figures(run_dir: RunDir, folder: Path) -> list[Path]:
    """Writes every figure of the run into `folder` as SVG and PDF for a paper, and returns their paths."""
    return write_files(figures(read(run_dir)), folder)


def write_files(drawn: Iterable[Figure], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for one in drawn:
        for name, content in one.files().items():
            (folder / name).write_bytes(content)
            written.append(folder / name)
    return written
