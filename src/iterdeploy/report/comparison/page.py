"""The page of a comparison, in the same frame and with the same figures as that of a run."""

from iterdeploy.metrics.records import Point
from iterdeploy.metrics.seeds import shared
from iterdeploy.metrics.words import points, share, sizes
from iterdeploy.report import findings
from iterdeploy.report.comparison import figures as drawn
from iterdeploy.report.comparison.outcome import configurations, contrast_table, sentence
from iterdeploy.report.comparison.runs import Arm, Comparison, Run, never_seen, seen
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.drawing.tables import SPLITS
from iterdeploy.report.html import document
from iterdeploy.report.html.markup import element, text
from iterdeploy.report.html.section import Section, section
from iterdeploy.tables import NOTHING, Table


def page(comparison: Comparison) -> str:
    """The whole HTML file."""
    parts = sections(comparison)
    places = {"top": "Comparison", **{one.id: one.title for one in parts}}
    body = [_first_screen(comparison)]
    body += [document.section(one.id, one.title, one.introduction, document.grid(one.items)) for one in parts]
    return document.document("Comparison of runs", places, body)


def figures(comparison: Comparison) -> list[Figure]:
    """All figures, those of coverage first."""
    items = [item for one in sections(comparison) for item in one.items if isinstance(item, Figure)]
    return [drawn.coverages(comparison)[0], *items]


def sections(comparison: Comparison) -> list[Section]:
    unlike = configurations(comparison)
    found = [
        section(
            "sizes", "Sizes",
            "Where they differ: by domain, by task size, and with reliability and generalisation kept apart.",
            drawn.by_domain(comparison), *drawn.frontiers(comparison), *drawn.kept_apart(comparison),
            *drawn.by_size(comparison), *drawn.coverages(comparison)[1:],
        ),
        section(
            "measures", "Answers and diversity",
            "Means over seeds; bands are t intervals over seeds, which a single seed has not.",
            *drawn.trends(comparison), drawn.verdicts(comparison),
        ),
        section(
            "audit", "Audit", findings.AUDIT,
            *(one for run in _runs(comparison) for one in findings.audit(run.audit, f"{run.name}: ")),
        ),
        section(
            "theory", "Theory", findings.THEORY,
            *(one for run in _runs(comparison) for one in findings.theory(run.theory, f"{run.name}: ")),
        ),
        section(
            "setting", "What differs", "Everything else in their configurations is equal.",
            findings.table(unlike) if unlike else None,
        ),
    ]  # fmt: skip
    return [one for one in found if one.items]


def _runs(comparison: Comparison) -> list[Run]:
    return [run for arm in comparison.arms for run in arm.runs]


def _first_screen(comparison: Comparison) -> str:
    head = element(
        "header",
        element("p", "Comparison of runs", class_="kicker"),
        element("h1", text(" against ".join(arm.title for arm in comparison.arms)), id="top"),
    )
    verdict = element(
        "section",
        element("h2", "Outcome", id="verdict"),
        element("p", text(sentence(comparison)), class_="sentence"),
        class_="verdict",
        aria_labelledby="verdict",
    )
    arms = "".join(_arm(arm, comparison.split) for arm in comparison.arms)
    drawing = document.figure(drawn.coverages(comparison)[0])
    tables = [summary_table(comparison), contrast_table(comparison)]
    shown = "".join(document.shown(findings.table(one)) for one in tables if one is not None)
    return element("div", element("div", head, verdict, arms), drawing, class_="first") + shown


def _arm(arm: Arm, split: str) -> str:
    """From where to where its coverage went, large."""
    coverage = arm.coverage(split)
    span = f"{SPLITS[split]} coverage, generation 0 to {arm.last}"
    return element(
        "div",
        element("h3", text(arm.title)),
        document.from_to(f"{coverage[0].value:.1%}", f"{coverage[arm.last].value:.1%}", span),
        class_="arm",
    )


def band_note(comparison: Comparison) -> str:
    """What the intervals are."""
    note = (
        "Arms of several seeds: means with 95% t intervals over the seeds' values. Single runs: 95% intervals over "
        "tasks, which do not say how far another seed would differ."
    )
    arms = [arm for arm in comparison.arms if len(arm.runs) > 1]
    own = [arm for arm in arms if not shared([run.tasks(0, comparison.split) for run in arm.runs])]
    if own:
        note += " Each seed draws its own tasks, so these bands hold the variation of seeds and of tasks together."
    if len(own) < len(arms):
        note += " Where seeds share tasks, the variance over tasks is added."
    if any(len({len(run.metrics) for run in arm.runs}) > 1 for arm in arms):
        note += " Seeds that went on longer than others of their arm are cut to the generations that all have."
    return note


def summary_table(comparison: Comparison) -> Table:
    split = comparison.split
    columns = ("", "seeds", f"{SPLITS[split]} coverage, gen. 0", "last gen.", "last less first", "last by first",
               "sizes seen", "sizes never seen", "frontier")  # fmt: skip
    rows = tuple(_summary(arm, split) for arm in comparison.arms)
    return Table("Side by side", columns, rows, (band_note(comparison),))


def _summary(arm: Arm, split: str) -> tuple[str, ...]:
    last = arm.last
    coverage = arm.coverage(split)
    change = arm.change(split)
    return (
        arm.title,
        ", ".join(str(run.config.seed) for run in arm.runs),
        share(coverage[0]),
        share(coverage[last]),
        NOTHING if change is None else points(change.difference, change.interval),
        _ratio(arm.ratio(split)),
        *(_told(arm.coverage(split, wanted).get(last)) for wanted in (seen, never_seen)),
        sizes(arm.frontiers(split)[last]),
    )


def _told(point: Point | None) -> str:
    return NOTHING if point is None else share(point)


def _ratio(point: Point | None) -> str:
    return NOTHING if point is None else f"{point.value:.2f} [{point.low:.2f}, {point.high:.2f}]"
