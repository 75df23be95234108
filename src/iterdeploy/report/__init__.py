"""report.html of a run: one file that needs nothing else, from the run's folder alone.

    contents.py   what the report says, read from the folder; counts.py asks the store, reasons.py groups failures
    verdict.py    the sentence that tells whether the loop worked, and the one that tells how the run ended
    sections.py   which figures and tables stand where
    *_figures.py  what each figure shows; trend.py the simple ones, lineage.py the graph of generations
    figure.py     a figure; painting.py paints it, svg.py makes the drawing fit for a page or a paper
    tables.py     tables as data; numbers.py the one with everything; links.py where their cells lead
    setting.py    what ran, in words
    traces.py     the traces: records.py, playback.py, explorer/
    markup.py     text into HTML, the only place that escapes
    document.py   the frame of a page; page.py fills it for a run; style.css is its look
    comparison*.py  the page of several runs

Matplotlib is imported when a figure is drawn, so `verdict` and `tables` cost nothing to import.
"""

from collections.abc import Iterable
from pathlib import Path

from iterdeploy.report.contents import read
from iterdeploy.report.figure import Figure
from iterdeploy.report.page import page
from iterdeploy.report.sections import figures
from iterdeploy.run_dir import RunDir, write_text


def write_report(run_dir: RunDir) -> Path:
    """Writes report.html into the run's folder, whatever state the run is in, and returns its path."""
    target = run_dir.path / "report.html"
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
