"""The page of unusual runs in a real browser: hostile text, a run that goes on, a plan of hundreds of steps."""

import re
import threading
from pathlib import Path

import pytest

from helpers import chromium
from helpers.pages import Open, report_of
from helpers.playing import (
    Served,
    add_generation,
    answers,
    config,
    finish_generation,
    make_run,
    plan_of,
    task,
    tasks,
    trace,
)
from iterdeploy.record.run_dir import RunDir
from iterdeploy.report import write_report
from iterdeploy.types import Split, Trace
from iterdeploy.view.server import Server
from iterdeploy.view.shelves import View

expect = chromium.playwright().expect
pytestmark = [pytest.mark.slow, chromium.NEEDED]

HOSTILE = (
    "</script><script>window.hacked = 1</script><img src='https://example.org/x.png' onerror='window.hacked = 2'>"
    "\x00\x1b[31m\u202egnp.exe\u2066\u200b\u2028\u2029<!-- &lt; </pre> {{7*7}} \N{PILE OF POO} \ue000"
)


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
    url = report_of(folder)
    server = Server("127.0.0.1", 0, View(folder)) if live else None
    if server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.port}/"
    one = sheet(f"{url}#traces?trace={given.id}")
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
    one = sheet(f"http://127.0.0.1:{served.port}/")
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
    page = sheet(report_of(tmp_path / "run") + "#traces").page
    page.locator(".traces a").click()
    assert page.locator(".plan .step").count() == 500 and page.locator(".plan .step[tabindex='0']").count() == 1
    page.locator("input[type=range]").fill("400")
    assert page.locator(".step[aria-current] .number").inner_text() == "400"
    assert page.locator(".step[aria-current]").is_visible()
    assert page.evaluate("window.scrollY") >= 0 and "Step 400 of 500" in page.locator(".caption").inner_text()
