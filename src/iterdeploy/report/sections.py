"""What the page says after its first screen, section by section; what a run has nothing to say of is left out."""

from iterdeploy.metrics.tables import by_temperature
from iterdeploy.report import findings
from iterdeploy.report.drawing.figure import Figure
from iterdeploy.report.facts.contents import Contents
from iterdeploy.report.figures import diversity as diversity_figures
from iterdeploy.report.figures import outcome as outcome_figures
from iterdeploy.report.figures import plans as plan_figures
from iterdeploy.report.figures import standings as standings_figures
from iterdeploy.report.figures import training as training_figures
from iterdeploy.report.figures import verdicts as verdict_figures
from iterdeploy.report.figures.lineage import lineage
from iterdeploy.report.html.section import Section, section, shown


def sections(contents: Contents) -> list[Section]:
    if not contents.metrics:
        return []
    change = by_temperature(contents.standings)
    found = [
        section(
            "frontier", "Frontier",
            "Held-out tasks at each temperature at which they were asked, every generation against generation 0, task "
            "by task.",
            standings_figures.frontier(contents.standings), standings_figures.pass_at_k(contents.standings),
            findings.table(change) if change.rows else None,
        ),
        section(
            "sizes", "Sizes",
            "Where it got better: by domain and by task size, and whether the model became more reliable or learned "
            "something new.",
            outcome_figures.by_domain(contents), *outcome_figures.by_size(contents),
            outcome_figures.kept_apart(contents),
        ),
        section(
            "plans", "Plans",
            "What the plans are like that the validator accepted.",
            *plan_figures.lengths(contents), *plan_figures.trends(contents.metrics),
            shown("By domain", "Plans of different domains cannot be compared: the figures above that mix them, "
                   "taken apart.", plan_figures.domain_table(contents), broad=True),
        ),
        section(
            "verdicts", "Verdicts",
            "What became of the answers, and why they were refused.",
            verdict_figures.verdicts(contents),
            shown("Commonest reasons", "The share of a generation's answers that failed so. Names of objects and "
                   "numbers of steps are left out, so that failures of one kind count together.",
                   verdict_figures.reasons(contents)),
        ),
        section(
            "lineage", "Lineage",
            "Which traces of which generation trained which model.",
            lineage(contents), training_figures.pools(contents.pools, len(contents.metrics) - 1),
        ),
        section(
            "diversity", "Diversity",
            "Whether the answers collapse to a few, how long the model reasons, and how far it has moved.",
            *diversity_figures.figures(contents.metrics),
        ),
        section(
            "training", "Training and cost",
            "What fine-tuning did, and what the run took.",
            training_figures.losses(contents.trainings), training_figures.costs(contents),
        ),
        section("audit", "Audit", findings.AUDIT, *findings.audit(contents.audit)),
        section("theory", "Theory", findings.THEORY, *findings.theory(contents.theory)),
    ]  # fmt: skip
    return [one for one in found if one.items]


def figures(contents: Contents) -> list[Figure]:
    """All figures of a run, the one that answers whether the loop worked first."""
    if not contents.metrics:
        return []
    items = [item for one in sections(contents) for item in one.items if isinstance(item, Figure)]
    return [outcome_figures.coverage(contents.metrics), *items]
