"""The page in a real browser: what is drawn, filtered, opened and played, by mouse and by keyboard alone."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers import chromium
from helpers.pages import Open, report_of
from helpers.playing import (
    played_run,
)
from helpers.support import whole_traces
from iterdeploy.pddl import Domain, Problem, states
from iterdeploy.planning import plans
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.report import write_report
from iterdeploy.types import Status, Trace

expect = chromium.playwright().expect
pytestmark = [pytest.mark.slow, chromium.NEEDED]

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "run"
    played_run(path)
    write_report(RunDir.read(path))
    return path


def traces_of(folder: Path) -> list[Trace]:
    store = TraceStore(folder / "traces.sqlite", read_only=True)
    found = whole_traces(store)
    store.close()
    return found


def one_of(folder: Path, domain: str, status: Status, **wanted: Any) -> Trace:
    """The first such trace with a plan."""
    return next(
        one
        for one in traces_of(folder)
        if (one.domain, one.verdict.status) == (domain, status)
        and plans.plan_of(one.verdict)
        and all(getattr(one, name) == value for name, value in wanted.items())
    )


def failed_step(given: Trace) -> int | None:
    step = given.verdict.facts.get("failed_step")
    return None if step is None else int(step)


def final_facts(folder: Path, given: Trace) -> set[str]:
    """What the validator says is true when the plan ends or breaks off."""
    store = TraceStore(folder / "traces.sqlite", read_only=True)
    payload = store.task(given.task_id).payload
    store.close()
    domain = Domain.parse(payload["domain"])
    failed = failed_step(given)
    plan = plans.plan_of(given.verdict)[: None if failed is None else failed - 1]
    *_, last = states(domain, Problem.parse(payload["problem"], domain), plan)
    fluents = {atom.predicate for action in domain.actions.values() for effect in action.effects
               for atom in (*effect.adds, *effect.deletes)}  # fmt: skip
    return {f"({' '.join(atom)})" for atom in last if atom[0] in fluents}


def shown_facts(page: Any) -> set[str]:
    return set(page.locator(".holding > ul .fact:not([hidden])").all_text_contents())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_its_figures_are_there(sheet: Open, folder: Path, width: int, scheme: str) -> None:
    given = one_of(folder, "blocksworld", Status.VALID)
    page = sheet(report_of(folder), width=width, scheme=scheme).page
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(overflow) == 0
    drawings = page.locator("figure svg:visible")
    assert drawings.count() >= 3
    assert all(drawings.nth(i).bounding_box()["height"] > 50 for i in range(drawings.count()))
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) > 600) is (scheme == "light")
    page.goto(f"{page.url}#traces?trace={given.id}")
    page.wait_for_selector(".opened svg.blocks")
    assert page.evaluate(overflow) == 0


def test_filters_and_links_agree_with_the_store(sheet: Open, folder: Path) -> None:
    everything = traces_of(folder)
    page = sheet(report_of(folder)).page
    assert page.locator(".found").inner_text() == f"{len(everything)} traces"
    page.get_by_role("group", name="Generation").get_by_role("button", name=re.compile("^1")).click()
    page.get_by_role("group", name="Verdict").get_by_role("button", name=re.compile("^invalid")).click()
    page.locator("select[data-focus=domain]").select_option("sokoban")
    left = [one for one in everything if (one.generation, one.verdict.status, one.domain) == (1, "invalid", "sokoban")]
    expect(page.locator(".found")).to_have_text(f"{len(left)} traces")
    assert page.url.endswith("#traces?generation=1&verdict=invalid&domain=sokoban")
    assert {one.get_attribute("data-trace") for one in page.locator(".traces a").all()} == {one.id for one in left}
    page.reload()
    page.wait_for_selector(".traces li")
    assert page.locator(".traces a").count() == len(left)
    pool = json.loads((folder / "generation-1" / "curated.json").read_text())["weights"]
    page.evaluate("location.hash = '#traces?pool=2'")
    expect(page.locator(".found")).to_have_text(f"{len(pool)} traces")
    assert {one.get_attribute("data-trace") for one in page.locator(".traces a").all()} == set(pool)
    page.evaluate("location.hash = '#traces?size=99'")
    expect(page.locator(".found")).to_have_text("No trace passes these filters.")


@pytest.mark.parametrize("domain", ["blocksworld", "sokoban", "ferry"])
@pytest.mark.parametrize("status", [Status.VALID, Status.INVALID])
def test_the_animation_ends_where_the_validator_does(sheet: Open, folder: Path, domain: str, status: Status) -> None:
    given = one_of(folder, domain, status, generation=0)
    page = sheet(report_of(folder) + f"#traces?trace={given.id}").page
    assert page.locator(".stage svg").count() == {"blocksworld": 2, "sokoban": 1, "ferry": 0}[domain]
    page.get_by_label("Speed").select_option("4")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_selector(f".player[data-position='{failed_step(given) or len(plans.plan_of(given.verdict))}']")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    caption = page.locator(".caption").inner_text()
    if status is Status.VALID:
        assert caption.endswith("The goal is reached.")
        goal = page.locator("svg.blocks").first.locator(".block.home, .crate.home")
        assert domain != "blocksworld" or goal.count() == given.size
    else:
        assert "cannot be done" in caption
        assert page.locator(".plan li.failing .number").inner_text() == str(failed_step(given))
        assert given.verdict.reason in page.locator(".opened .reason").inner_text()
    if domain != "ferry":
        page.get_by_role("button", name="Facts").click()
    assert shown_facts(page) == final_facts(folder, given)
    page.get_by_role("button", name="First").click()
    page.get_by_role("button", name="Last").click()
    assert shown_facts(page) == final_facts(folder, given)


def test_the_blocks_and_boxes_stand_where_the_state_says(sheet: Open, folder: Path) -> None:
    """Read from the picture itself: what stands on what; where the box is."""
    given = one_of(folder, "blocksworld", Status.VALID)
    page = sheet(report_of(folder) + f"#traces?trace={given.id}").page
    page.get_by_role("button", name="Last").click()
    at = page.evaluate(
        """[...document.querySelector("svg.blocks").querySelectorAll(".block")].map((one) => {
          const { left, bottom, top } = one.querySelector("rect").getBoundingClientRect();
          return [one.textContent, Math.round(left), Math.round(top), Math.round(bottom)];
        })"""
    )
    facts = final_facts(folder, given)
    for fact in facts:
        name, *objects = fact.strip("()").split(" ")
        if name == "on":
            (_, left, _, bottom), (_, under, top, _) = (next(row for row in at if row[0] == one) for one in objects)
            assert left == under and abs(bottom - top) <= 4, fact
    given = one_of(folder, "sokoban", Status.VALID, size=6)
    page.goto(f"{page.url.partition('#')[0]}#traces?trace={given.id}")
    page.wait_for_selector("svg.sokoban")
    page.get_by_role("button", name="Last").click()
    box, goal = (page.locator(f"svg.sokoban {name} rect").bounding_box() for name in (".crate", ".target"))
    assert abs(box["x"] + box["width"] / 2 - goal["x"] - goal["width"] / 2) < 1
    assert abs(box["y"] + box["height"] / 2 - goal["y"] - goal["height"] / 2) < 1


def test_from_a_trace_to_its_siblings_and_to_the_models_that_it_trained(sheet: Open, folder: Path) -> None:
    pool = json.loads((folder / "generation-1" / "curated.json").read_text())["weights"]
    given = next(one for one in traces_of(folder) if one.id in pool and one.generation == 0)
    siblings = [one for one in traces_of(folder) if one.task_id == given.task_id]
    page = sheet(report_of(folder) + f"#traces?trace={given.id}").page
    chips = page.locator(".answers a")
    assert chips.count() == len(siblings) and page.locator(".answers tr").count() == 3
    assert page.locator(".answers a[aria-current]").count() == 1
    chips.last.click()
    expect(page.locator(".trace-heading")).to_contain_text("generation 2")
    page.go_back()
    expect(page.locator(".trace-heading")).to_contain_text("generation 0")
    page.locator(".models a", has_text="generation 2").click()
    expect(page.locator(".found")).to_have_text(f"{len(pool)} traces")
    assert page.url.endswith("#traces?pool=2")


def test_an_obfuscated_plan_shows_both_kinds_of_names(sheet: Open, folder: Path) -> None:
    given = next(one for one in traces_of(folder) if one.size == 5)
    page = sheet(report_of(folder) + f"#traces?trace={given.id}").page
    step = page.locator(".plan li").first
    assert f"({' '.join(plans.plan_of(given.verdict)[0])})" in step.inner_text()
    assert step.locator("small").inner_text() in given.completions[0].text
    assert "The model was given random names" in page.locator(".player .note").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_by_keyboard_alone(sheet: Open, folder: Path, width: int) -> None:
    page = sheet(report_of(folder) + "#traces", width=width).page
    key = page.keyboard.press

    def focused() -> str:
        told: str = page.evaluate("(document.activeElement.ariaLabel ?? '') + '|' + document.activeElement.textContent")
        return told

    def tab_to(words: str, most: int = 60) -> None:
        for _ in range(most):
            key("Tab")
            if words in focused():
                ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert ring != "none", f"the focus on {words} cannot be seen"
                return
        raise AssertionError(f"{words} is not reached by the tabulator key")

    page.locator("h2#traces").evaluate("(one) => { one.tabIndex = -1; one.focus(); }")
    tab_to("valid ")
    key("Enter")
    expect(page).to_have_url(re.compile("verdict=valid"))
    assert "valid" in focused(), "the focus stays on the filter"
    expect(page.locator(".traces")).not_to_contain_text("invalid")
    tab_to("gen 0")
    key("Enter")
    page.wait_for_selector(".opened")
    assert page.evaluate("document.activeElement.className") == "trace-heading"
    tab_to("Play|")
    key("Space")
    page.wait_for_selector(".player:not([data-position='0'])")
    key("Space")
    at = int(page.locator(".player").get_attribute("data-position"))
    tab_to("Step|")
    key("ArrowRight")
    assert page.locator(f".player[data-position='{at + 1}']").count() == 1
    assert page.locator("input[type=range]").get_attribute("aria-valuetext") == page.locator(".caption").inner_text()
    key("Home")
    tab_to("(")
    key("ArrowDown")
    assert page.locator(".step[aria-current] .number").inner_text() == "2"
    assert page.locator(".caption").get_attribute("role") == "status"
    assert "Step 2 of" in page.locator(".caption").inner_text()
    page.locator(".ways a").first.focus()
    key("Enter")
    page.wait_for_selector(".traces li")
    assert page.evaluate("'trace' in document.activeElement.dataset"), "the focus is back on the opened trace"


def test_without_motion_where_the_reader_wants_none(sheet: Open, folder: Path) -> None:
    given = one_of(folder, "blocksworld", Status.VALID)
    place = f"#traces?trace={given.id}"
    running = "document.getAnimations().length"
    for motion, moving in (("no-preference", True), ("reduce", False)):
        page = sheet(report_of(folder) + place, reduced_motion=motion).page
        page.get_by_role("button", name="Forward").click()
        assert bool(page.evaluate(running)) is moving, motion
        assert page.locator(".player[data-position='1']").count() == 1


@pytest.mark.parametrize(("width", "scheme"), list(zip(WIDTHS, SCHEMES, strict=True)))
def test_axe_finds_nothing_serious(sheet: Open, folder: Path, width: int, scheme: str) -> None:
    axe = chromium.axe()
    page = sheet(report_of(folder) + "#traces", width=width, scheme=scheme, bypass_csp=True).page
    places = [
        "",
        f"?trace={one_of(folder, 'blocksworld', Status.INVALID).id}",
        f"?trace={one_of(folder, 'ferry', Status.INVALID).id}",
    ]
    for place in places:
        page.evaluate(f"location.hash = '#traces{place}'")
        page.wait_for_selector(".opened" if place else ".traces li")
        page.evaluate("document.querySelector('[aria-label=Last]')?.click()")
        found = axe.run(page)["violations"]
        told = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
        assert told == []
