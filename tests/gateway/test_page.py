"""The page of a deployment in a real browser: asked, judged and corrected, by mouse and by keyboard alone."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from helpers import chromium
from helpers.serving import Live, config_of, tasks_of
from iterdeploy.record.store import TraceStore
from iterdeploy.types import Feedback

expect = chromium.playwright().expect
pytestmark = [pytest.mark.slow, chromium.NEEDED]
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\u202e{script}"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("page"), config_of())
    yield live
    assert "Traceback" not in live.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, live: Live) -> Iterator[Any]:
    """The page on a narrow screen; it must be quiet and ask nobody but its server."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    context.set_default_timeout(chromium.TIMEOUT)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    asked: list[str] = []
    page.goto(f"http://127.0.0.1:{live.port}/")
    expect(page).to_have_title("live")
    yield page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
    assert page.evaluate("window.hacked") is None
    context.close()
    assert not troubles and all(url.startswith(f"http://127.0.0.1:{live.port}/") for url in asked), (troubles, asked)


def said(live: Live, trace_id: str) -> list[Feedback]:
    store = TraceStore(live.path / "traces.sqlite", read_only=True)
    found = list(store.feedback(trace_id))
    store.close()
    return found


def shown_as(page: Any, words: str) -> None:
    expect(page.locator("#status")).to_contain_text(words, timeout=chromium.TIMEOUT)


def newest(live: Live) -> str:
    return max(live.origins().values(), key=lambda origin: origin.at).trace_id


def test_asked_by_keyboard_published_and_its_plan_played(page: Any, live: Live) -> None:
    page.click("#who summary")
    page.fill("#user", "ann")
    page.fill("#question", tasks_of(live.config)[0].prompt)
    page.press("#question", "Control+Enter")
    shown_as(page, "Would you publish")
    trace = live.trace(newest(live))
    assert page.inner_text("#text").strip() == trace.text.strip()
    assert trace.verdict.status.value in page.inner_text("#verdict")
    if trace.verdict.answer and trace.verdict.facts.get("failed_step") != 1:  # else there is no step to show
        before = page.inner_text("#state")
        page.click("#forth")
        assert page.inner_text("#state") != before
    page.press("#publish", "p")
    shown_as(page, "Published")
    assert [(one.user, one.judgement, one.consent) for one in said(live, trace.id)] == [("ann", "publish", "train")]


def test_the_inbox_shows_what_nobody_judged_until_all_is(page: Any, live: Live) -> None:
    prompts = [task.prompt for task in tasks_of(live.config)[1:4]]
    ids = [live.ask(prompt).json()["id"] for prompt in prompts]
    live.settle()
    page.click("#show-inbox")
    page.wait_for_selector("#answer:not([hidden])")
    for key in ("p", "r"):
        before = page.inner_text("#prompt")
        page.keyboard.press(key)
        expect(page.locator("#prompt")).not_to_have_text(before, timeout=chromium.TIMEOUT)
    page.keyboard.press("c")
    page.fill("#correction", "(pickup b1)")
    page.click("#correcting button")
    shown_as(page, "Every answer is judged")
    assert [said(live, trace_id)[-1].judgement for trace_id in ids] == ["publish", "reject", "correct"]
    assert said(live, ids[2])[-1].correction == "(pickup b1)"


def test_what_others_wrote_is_only_text(page: Any, live: Live) -> None:
    live.ask(HOSTILE)
    live.settle()
    page.click("#show-inbox")
    page.wait_for_selector("#answer:not([hidden])")
    assert page.inner_text("#prompt").strip().startswith("</script>")
    page.click("#reject")
    shown_as(page, "Every answer is judged")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, live: Live, scheme: str) -> None:
    axe = chromium.axe()
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{live.port}/")
    page.click("#who summary")
    page.click("#example")
    expect(page.locator("#question")).not_to_have_value("", timeout=chromium.TIMEOUT)
    page.press("#question", "Control+Enter")
    shown_as(page, "Would you publish")
    page.click("#correct")
    found = axe.run(page)["violations"]
    context.close()
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_a_page_of_another_site_can_do_nothing(browser: Any, live: Live) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto("data:text/html,<p>elsewhere</p>")
    before = len(live.traces())
    body = '{"model": "live", "messages": [{"role": "user", "content": "x"}]}'
    for kind in ("text/plain", "application/json"):
        outcome = page.evaluate(
            """async ([url, body, kind]) => {
                try { return (await fetch(url, {method: "POST", body, headers: {"Content-Type": kind}})).status }
                catch (error) { return "blocked" }
            }""",
            [f"http://127.0.0.1:{live.port}/v1/chat/completions", body, kind],
        )
        assert outcome == "blocked"
    context.close()
    assert len(live.traces()) == before
    framed = live.client.get("/").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in framed and re.search("script-src 'sha256-", framed)
