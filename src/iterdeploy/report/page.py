"""The page of a run: what ran, whether it worked, the figures, the traces, all numbers."""

from iterdeploy.report import numbers
from iterdeploy.report.drawing.tables import NOTHING, SPLITS
from iterdeploy.report.explorer import section as traces
from iterdeploy.report.facts.contents import Contents
from iterdeploy.report.facts.verdict import Claim, outcome, state_sentence
from iterdeploy.report.figures.outcome import coverage
from iterdeploy.report.html import document
from iterdeploy.report.html.markup import code_marked, element, text
from iterdeploy.report.sections import sections
from iterdeploy.report.setting import in_short, setting

CLAIM_CLASSES = {Claim.IMPROVED: "improved", Claim.WORSE: "worse", Claim.NONE: "open"}

NUMBERS = (
    "Coverage is the mean over tasks of the share of valid samples; the intervals are Wilson's, over tasks, with the "
    "effective number of tasks where each has several samples. They do not say how far another seed or another set of "
    "tasks would differ."
)


def page(contents: Contents, *, live: bool = False) -> str:
    """The whole HTML file; `live`: as `iterdeploy view` serves it, with traces that it asks the server for."""
    parts = sections(contents)
    body = [_first_screen(contents)]
    body += [document.section(one.id, one.title, one.introduction, document.grid(one.items)) for one in parts]
    places = {"top": contents.name, **{one.id: one.title for one in parts}}
    if contents.metrics or live:
        body.append(traces.section(contents, live=live))
        places["traces"] = "Traces"
    body.append(setting(contents))
    places["setting"] = "What ran"
    if contents.metrics:
        everything = numbers.everything(contents.metrics, contents.pools, contents.trainings, contents.seconds)
        body.append(document.section("numbers", "All numbers", NUMBERS, document.table(everything, "All numbers")))
        places["numbers"] = "All numbers"
    return document.document(
        f"{contents.name}: report of a run",
        places,
        body,
        scripts=traces.scripts(),
        style=traces.style(),
        live=live,
    )


def _first_screen(contents: Contents) -> str:
    head = element(
        "header",
        element("p", "Report of the run", class_="kicker"),
        element("h1", text(contents.name), id="top"),
        element("p", text(contents.config.description), class_="lead") if contents.config.description else "",
    )
    facts = "".join(
        element("div", element("dt", text(name)), element("dd", text(value))) for name, value in in_short(contents)
    )
    words = element("div", head, _verdict(contents), element("dl", facts, class_="facts"))
    drawn = document.figure(coverage(contents.metrics)) if contents.metrics else ""
    return element("div", words, drawn, class_="first")


def _verdict(contents: Contents) -> str:
    found = outcome(contents.counts.results, contents.config.sampling.temperature)
    state = state_sentence(contents.state, len(contents.metrics), contents.config.generations, contents.name)
    finished = contents.state.name == "complete"
    return element(
        "section",
        element("h2", text(found.claim), id="verdict"),
        _from_to(contents),
        element("p", text(found.sentence), class_="sentence"),
        element("p", code_marked(state), class_="state finished" if finished else "state unfinished"),
        class_=f"verdict {CLAIM_CLASSES[found.claim]}",
        aria_labelledby="verdict",
    )


def _from_to(contents: Contents) -> str:
    """The two numbers that matter most, large; nothing where there is only one generation."""
    if len(contents.metrics) < 2:
        return ""
    split = "held_out" if contents.metrics[0].held_out else "deployed"
    first, last = (found.coverage for place in (0, -1) if (found := contents.metrics[place].coverage(split)))
    return document.from_to(f"{first:.1%}", f"{last:.1%}", f"{SPLITS[split]} coverage") + _frontier(contents)


def _frontier(contents: Contents) -> str:
    """From where to where it went at the loop's own temperature; nothing for several domains, each with its own."""
    own = [one for one in contents.standings if one.temperature == contents.config.sampling.temperature]
    if len(own) < 2 or len(own[-1].frontiers) != 1:
        return ""
    first, last = (str(found.size or NOTHING) for one in (own[0], own[-1]) for found in one.frontiers.values())
    return document.from_to(first, last, "frontier: the largest size with a tenth solved")
