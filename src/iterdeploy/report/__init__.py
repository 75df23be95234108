"""report.html of a run: one file that needs nothing else, from the run's folder alone.

    contents.py   what the report says, read from the folder
    verdict.py    the sentence that tells whether the loop worked, and the one that tells how the run ended
    tables.py     the numbers as text
    figures.py    what each figure shows; painting.py draws it, svg.py makes the drawing fit for a page
    setting.py    what ran, in words
    traces.py     some traces
    markup.py     text into HTML, the only place that escapes
    page.py       all of it in order; style.css is its look

Matplotlib is imported when a figure is drawn, so `verdict` and `tables` cost nothing to import.
"""

from pathlib import Path

from iterdeploy.report.contents import read
from iterdeploy.report.page import page
from iterdeploy.run_dir import RunDir, write_text


def write_report(run_dir: RunDir) -> Path:
    """Writes report.html into the run's folder, whatever state the run is in, and returns its path."""
    target = run_dir.path / "report.html"
    write_text(target, page(read(run_dir)))
    return target
