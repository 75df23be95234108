"""The frame of a page: one HTML file that needs nothing from elsewhere, its navigation, its figures and its tables.

Its security policy forbids everything from elsewhere, and every script but its own, whatever a trace holds.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from iterdeploy.report.drawing.figure import NARROW, WIDE, Figure
from iterdeploy.report.html.markup import code_marked, element, lines, text
from iterdeploy.report.html.section import Shown
from iterdeploy.tables import Cell, Link, Table

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(
    title: str, places: Mapping[str, str], body: Iterable[str], *, scripts: Sequence[str] = (), style: str = "",
    live: bool = False,
) -> str:  # fmt: skip
    """The whole HTML file. `places`: id -> name, for the navigation; `live`: its scripts may ask the server."""
    own = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    scripts = [f"\n{script}" for script in scripts]
    return lines(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy(scripts, live)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            element("title", text(title)),
            f"<style>\n{own}{style}</style>",
            "</head>",
            "<body>",
            _navigation(places),
            "<main>",
            *body,
            "</main>",
            *(element("script", script, type="module") for script in scripts),
            "</body>",
            "</html>\n",
        ]
    )


def policy(scripts: Sequence[str], live: bool) -> str:
    """The page's security policy: these very scripts, no others, and no request but a live page's to its server."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return POLICY + (f"; script-src {hashes}" if hashes else "") + ("; connect-src 'self'" if live else "")


def _navigation(places: Mapping[str, str]) -> str:
    links = (element("li", element("a", text(name), href=f"#{place}")) for place, name in places.items())
    return element("nav", element("ul", *links), aria_label="Sections")


def section(identifier: str, title: str, introduction: str, *content: str) -> str:
    return element(
        "section",
        element("h2", text(title), id=identifier),
        element("p", code_marked(introduction), class_="introduction") if introduction else "",
        *content,
        aria_labelledby=identifier,
    )


def from_to(first: str, last: str, of: str) -> str:
    """Two numbers, large. Screen readers get them from the adjacent sentence."""
    return element(
        "p",
        element("span", text(first), class_="from"),
        element("span", "\N{RIGHTWARDS ARROW}", class_="arrow"),
        element("span", text(last), class_="to"),
        element("span", text(of), class_="of"),
        class_="from-to",
        aria_hidden="true",
    )


def grid(items: Iterable[Figure | Shown]) -> str:
    return element("div", *(figure(item) if isinstance(item, Figure) else shown(item) for item in items), class_="grid")


def figure(one: Figure) -> str:
    return element(
        "figure",
        element("figcaption", element("h3", text(one.title)), element("p", text(one.caption))),
        element("div", one.drawing(WIDE), class_="drawing wide"),
        element("div", one.drawing(NARROW), class_="drawing narrow"),
        element("details", element("summary", "The numbers"), table(one.table, one.title)),
        id=f"figure-{one.name}",
    )


def shown(one: Shown) -> str:
    note = element("p", text(one.note), class_="note") if one.note else ""
    numbers = table(one.table, one.title) if one.table else ""
    points = element("ul", *(element("li", text(point)) for point in one.points), class_="points") if one.points else ""
    return element(
        "div",
        element("h3", text(one.title)),
        note,
        numbers,
        points,
        class_="shown broad" if one.broad else "shown",
    )


def table(one: Table, label: str) -> str:
    head = element("thead", element("tr", *(element("th", text(cell), scope="col") for cell in one.columns)))
    groups = []
    for heading, group in one.groups():
        rows = [
            element("tr", element("th", _cell(first), scope="row"), *(element("td", _cell(cell)) for cell in cells))
            for first, *cells in group
        ]
        if heading:
            title = element("th", text(heading), scope="rowgroup", colspan=str(len(one.columns)))
            rows.insert(0, element("tr", title, class_="group"))
        groups.append(element("tbody", *rows))
    # A wide table scrolls in its own box, which the keyboard must reach.
    return element(
        "div", element("table", head, *groups), class_="scroll", tabindex="0", role="region",
        aria_label=f"{label}: table",
    )  # fmt: skip


def _cell(cell: Cell) -> str:
    return element("a", text(cell.text), href=cell.target) if isinstance(cell, Link) else text(cell)
