"""The traces on the page: the explorer that shows them (JavaScript), and the data that it shows.

A model's answer is hostile text. It travels as JSON that HTML cannot misread (`records.page_json`), and the explorer
puts it into the page as text alone, with unseen characters as their numbers, as `markup.text` does.
"""

from pathlib import Path
from shlex import join
from typing import Any

from iterdeploy.record.outputs import State
from iterdeploy.report.facts.contents import Contents
from iterdeploy.report.facts.records import page_json
from iterdeploy.report.html.markup import element, text

SCRIPTS = ("text", "place", "source", "film", "blocks", "sokoban", "course", "facts", "player", "trace", "list", "main")
"""The explorer's files in the order in which they are joined into one module."""


def section(contents: Contents, *, live: bool = False) -> str:
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


def _told(contents: Contents, live: bool) -> str:
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


def edition(measured: int, pools: int, state: State) -> str:
    """Of a page: another one where a page made now would say something else."""
    return f"{measured} measured, {pools} pools, {state.name}"


def scripts() -> list[str]:
    """The page's scripts, each to stand in an element of its own, as a module."""
    return ["\n".join(_file(f"{name}.js") for name in SCRIPTS)]


def style() -> str:
    """What the explorer adds to the page's style."""
    return _file("style.css")


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
