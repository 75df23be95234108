"""The page: what ran, whether it worked, the figures, all numbers, some traces.

It needs no script and nothing from elsewhere, and its security policy forbids both, whatever a trace may hold.
"""

from pathlib import Path

from iterdeploy.report import tables
from iterdeploy.report.contents import Contents
from iterdeploy.report.figures import Figure, figures
from iterdeploy.report.markup import code_marked, element, lines, text
from iterdeploy.report.setting import setting, summary
from iterdeploy.report.tables import Table
from iterdeploy.report.traces import traces
from iterdeploy.report.verdict import Claim, outcome, state_sentence

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

CLAIM_CLASSES = {Claim.IMPROVED: "improved", Claim.WORSE: "worse", Claim.NONE: "open"}


def page(contents: Contents) -> str:
    """The whole HTML file."""
    drawn = [_figure(one) for one in figures(contents.metrics, contents.pools, contents.seen_sizes)]
    body = [_head(contents), _verdict(contents), *drawn[:1], setting(contents), *drawn[1:]]
    if contents.metrics:
        body += [_numbers(contents), traces(contents)]
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return lines(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            element("title", text(f"{contents.name}: report of a run")),
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>\n",
        ]
    )


def _head(contents: Contents) -> str:
    return element(
        "header",
        element("p", "Report of the run", class_="kicker"),
        element("h1", text(contents.name)),
        element("p", text(contents.config.description), class_="lead") if contents.config.description else "",
        element("p", text(summary(contents.config, contents.metrics)), class_="summary"),
    )


def _verdict(contents: Contents) -> str:
    found = outcome(contents.metrics)
    state = state_sentence(contents.state, len(contents.metrics), contents.config.generations, contents.name)
    finished = contents.state["state"] == "complete"
    return element(
        "section",
        element("h2", text(found.claim), id="verdict"),
        element("p", text(found.sentence), class_="sentence"),
        element("p", code_marked(state), class_="state finished" if finished else "state unfinished"),
        class_=f"verdict {CLAIM_CLASSES[found.claim]}",
        aria_labelledby="verdict",
    )


def _figure(figure: Figure) -> str:
    return element(
        "figure",
        element("figcaption", element("h2", text(figure.title)), element("p", text(figure.caption))),
        element("div", figure.wide, class_="drawing wide"),
        element("div", figure.narrow, class_="drawing narrow"),
        element("details", element("summary", "The numbers"), _table(figure.table, figure.title)),
        id=figure.name,
    )


def _numbers(contents: Contents) -> str:
    table = tables.everything(contents.metrics, contents.pools, contents.trainings, contents.seconds)
    note = (
        "Coverage is the mean over tasks of the share of valid samples; the intervals are Wilson's, over tasks, with "
        "the effective number of tasks where each has several samples. They do not say how far another seed or another "
        "set of tasks would differ."
    )
    return element(
        "section",
        element("h2", "All numbers", id="numbers"),
        element("p", text(note), class_="note"),
        _table(table, "All numbers", "scroll broad"),
        aria_labelledby="numbers",
    )


def _table(table: Table, label: str, class_: str = "scroll") -> str:
    head = element("thead", element("tr", *(element("th", text(cell), scope="col") for cell in table.head)))
    groups = []
    for group in table.groups:
        rows = [
            element("tr", element("th", text(first), scope="row"), *(element("td", text(cell)) for cell in cells))
            for first, *cells in group.rows
        ]
        if group.title:
            title = element("th", text(group.title), scope="rowgroup", colspan=str(len(table.head)))
            rows.insert(0, element("tr", title, class_="group"))
        groups.append(element("tbody", *rows))
    # A wide table scrolls in its own box, which the keyboard must reach.
    return element(
        "div",
        element("table", head, *groups),
        class_=class_,
        tabindex="0",
        role="region",
        aria_label=f"{label}: table",
    )
