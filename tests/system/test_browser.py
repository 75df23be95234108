"""The page in a real browser: what is drawn, filtered, opened and played, by mouse and by keyboard alone."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.playing import (
    Served,
    add_generation,
    answers,
    config,
    finish_generation,
    make_run,
    plan_of,
    played_run,
    task,
    tasks,
    trace,
)
from helpers.support import whole_traces
from iterdeploy.pddl import Domain, Problem, states
from iterdeploy.planning import plans
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.store import TraceStore
from iterdeploy.report import write_report
from iterdeploy.types import Split, Status, Trace
from iterdeploy.view.server import Server
from iterdeploy.view.shelves import View

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")]

expect = sync_api.expect
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
HOSTILE = (
    "</script><script>window.hacked = 1</script><img src='https://example.org/x.png' onerror='window.hacked = 2'>"
    "\x00\x1b[31m\u202egnp.exe\u2066\u200b\u2028\u2029<!-- &lt; </pre> {{7*7}} \N{PILE OF POO} \ue000"
)
TIMEOUT = 20_000
"""Milliseconds that anything may take; nothing takes them but on a machine that is busy with other things."""
expect.set_options(timeout=TIMEOUT)


class Sheet:
    """A page with all that it said to the console and asked of the network."""

    def __init__(self, browser: Any, url: str, width: int, scheme: str, **options: Any) -> None:
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
        self.context.set_default_timeout(TIMEOUT)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector(".traces li, .opened, #explorer .note")

    def close(self) -> None:
        self.context.close()


Open = Callable[..., Sheet]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "run"
    played_run(path)
    write_report(RunDir.read(path))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=PROGRAM, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture
def sheet(browser: Any, folder: Path) -> Iterator[Open]:
    """Opens the report, or another page, at a place; whatever it is, it must be quiet and ask nobody anything."""
    opened: list[Sheet] = []

    def open_sheet(
        place: str = "", *, url: str = "", width: int = 1280, scheme: str = "light", **options: Any
    ) -> Sheet:
        opened.append(Sheet(browser, (url or (folder / "report.html").as_uri()) + place, width, scheme, **options))
        return opened[-1]

    yield open_sheet
    for one in opened:
        one.close()
        assert one.troubles == []
        assert all(request.startswith(("file:", "http://127.0.0.1:")) for request in one.requests), one.requests


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
    page = sheet(width=width, scheme=scheme).page
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
    page = sheet().page
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
    page = sheet(f"#traces?trace={given.id}").page
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
    page = sheet(f"#traces?trace={given.id}").page
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
    page = sheet(f"#traces?trace={given.id}").page
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
    page = sheet(f"#traces?trace={given.id}").page
    step = page.locator(".plan li").first
    assert f"({' '.join(plans.plan_of(given.verdict)[0])})" in step.inner_text()
    assert step.locator("small").inner_text() in given.completions[0].text
    assert "The model was given random names" in page.locator(".player .note").inner_text()


@pytest.mark.parametrize("width", WIDTHS)
def test_by_keyboard_alone(sheet: Open, folder: Path, width: int) -> None:
    page = sheet("#traces", width=width).page
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
        page = sheet(place, reduced_motion=motion).page
        page.get_by_role("button", name="Forward").click()
        assert bool(page.evaluate(running)) is moving, motion
        assert page.locator(".player[data-position='1']").count() == 1


@pytest.mark.parametrize(("width", "scheme"), list(zip(WIDTHS, SCHEMES, strict=True)))
def test_axe_finds_nothing_serious(sheet: Open, folder: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe is not installed").Axe()
    page = sheet("#traces", width=width, scheme=scheme, bypass_csp=True).page
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


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace]:
    """A run whose first answer is everything that a page should not obey, and a line of 100,000 characters."""
    path = tmp_path_factory.mktemp("hostile") / "run"
    asked = [task("blocksworld", 4, Split.DEPLOYED)]
    given = trace(asked[0], 0, HOSTILE + "<b>" * 33_333)
    make_run(path, asked, {0: [given]}, generations=0)
    write_report(RunDir.read(path))
    return path, given


@pytest.mark.parametrize("live", [False, True])
def test_hostile_text_is_shown_and_not_obeyed(sheet: Open, hostile: tuple[Path, Trace], live: bool) -> None:
    folder, given = hostile
    url = (folder / "report.html").as_uri()
    server = Server("127.0.0.1", 0, View(folder)) if live else None
    if server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.port}/"
    one = sheet(f"#traces?trace={given.id}", url=url)
    page = one.page
    shown = page.locator("pre[aria-label=Answer]").inner_text()
    for words in (
        "</script><script>window.hacked = 1</script>",
        "U+0000U+001B[31mU+202Egnp.exe",
        "U+2028U+2029<!-- &lt; </pre>",
    ):
        assert words in shown
    assert "U+E000" in shown and "\u202e" not in shown
    assert page.evaluate("window.hacked") is None and page.locator("#explorer img, #explorer script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    page.get_by_role("button", name=re.compile("^Show all")).click()
    length = len(page.locator("pre[aria-label=Answer]").inner_text())
    assert (length > 99_000) if live else (19_000 < length < 21_000)
    assert ("more characters are not in this page" in page.locator(".opened").inner_text()) is not live
    page.evaluate("location.hash = '#traces?domain=' + encodeURIComponent('<img src=x onerror=alert(1)>\\u202e')")
    expect(page.locator(".found")).to_have_text("No trace passes these filters.")
    if server:
        server.shutdown()
        server.server_close()


def test_a_run_that_goes_on_is_followed(sheet: Open, tmp_path: Path) -> None:
    asked = tasks()[:4]
    run_dir = RunDir.open(tmp_path / "run", config(), ["test"])
    add_generation(run_dir, 0, asked, answers(asked, 0))
    served = Served(tmp_path / "run")
    one = sheet(url=f"http://127.0.0.1:{served.port}/")
    page = one.page
    assert page.locator(".found").inner_text() == "9 traces"
    later = answers(asked, 1)
    run_dir.store.add({one.id: one for one in asked}, later[:4], {})
    expect(page.locator(".found")).to_have_text("13 traces")
    page.get_by_role("group", name="Generation").get_by_role("button", name=re.compile("^1")).click()
    expect(page.locator(".found")).to_have_text("4 traces")
    run_dir.store.add({one.id: one for one in asked}, later[4:], {})
    expect(page.locator(".found")).to_have_text("9 traces")
    assert page.locator(".traces li").count() == 9
    finish_generation(run_dir, 1)
    page.get_by_role("button", name="Show it").click()
    page.wait_for_selector("#news", state="detached")
    expect(page.locator(".found")).to_have_text("9 traces")
    assert "generation=1" in page.url
    run_dir.close()
    served.end()
    expect(page.locator(".trouble")).to_contain_text("still running")
    one.troubles[:] = [trouble for trouble in one.troubles if "ERR_CONNECTION" not in trouble]
    one.page.close()


def test_a_plan_of_hundreds_of_steps_is_one_stop_for_the_tabulator_key(sheet: Open, tmp_path: Path) -> None:
    one = task("blocksworld", 4, Split.DEPLOYED)
    first, *_ = plan_of(one)
    undo = {"unstack": "stack", "pickup": "putdown"}[first[0]]
    plan = [first, (undo, *first[1:])] * 250
    text = "<plan>\n" + "".join(f"({' '.join(step)})\n" for step in plan) + "</plan>"
    make_run(tmp_path / "run", [one], {0: [trace(one, 0, text)]}, generations=0)
    write_report(RunDir.read(tmp_path / "run"))
    page = sheet("#traces", url=(tmp_path / "run" / "report.html").as_uri()).page
    page.locator(".traces a").click()
    assert page.locator(".plan .step").count() == 500 and page.locator(".plan .step[tabindex='0']").count() == 1
    page.locator("input[type=range]").fill("400")
    assert page.locator(".step[aria-current] .number").inner_text() == "400"
    assert page.locator(".step[aria-current]").is_visible()
    assert page.evaluate("window.scrollY") >= 0 and "Step 400 of 500" in page.locator(".caption").inner_text()
