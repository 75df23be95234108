"""A page of the report in a browser, with all that it did: it must be quiet and ask nobody anything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers import chromium


class Sheet:
    """A page with all that it said to the console and asked of the network."""

    def __init__(self, browser: Any, url: str, width: int, scheme: str, **options: Any) -> None:
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
        self.context.set_default_timeout(chromium.TIMEOUT)
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


@contextmanager
def sheets(browser: Any) -> Iterator[Open]:
    """Opens pages, and checks at the end what they did."""
    opened: list[Sheet] = []

    def open_sheet(url: str, *, width: int = 1280, scheme: str = "light", **options: Any) -> Sheet:
        opened.append(Sheet(browser, url, width, scheme, **options))
        return opened[-1]

    yield open_sheet
    for sheet in opened:
        sheet.close()
        assert sheet.troubles == []
        assert all(request.startswith(("file:", "http://127.0.0.1:")) for request in sheet.requests), sheet.requests


def report_of(folder: Path) -> str:
    """The address of a run's report."""
    return (folder / "report.html").as_uri()
