"""Takes the pictures of the docs again, from a finished run: `make pictures` after `make demo`.

    python docs/pictures.py runs/quickstart

Writes docs/report.png, the report's first screen, and docs/explorer.png, an answer opened in it. Needs Playwright,
which is among the development tools, and a Chromium.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
SIZE = (1280, 900)
"""Pixels of a page's window: the picture has one and a half times as many each way."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Take the pictures of the docs again.")
    parser.add_argument("run", type=Path, help="folder of a finished run, with its report")
    report = parser.parse_args().run / "report.html"
    if not report.exists():
        print(f"{report} does not exist: finish the run, or call `iterdeploy report`", file=sys.stderr)
        return 2
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, device_scale_factor=1.5)
        page.goto(report.resolve().as_uri())
        page.wait_for_selector(".traces li")
        take(page, "report.png")
        page.locator("#explorer").scroll_into_view_if_needed()
        page.locator(".traces li a, .traces li button, .traces li").first.click()
        page.wait_for_selector(".opened")
        page.locator("#explorer").evaluate("element => element.scrollIntoView()")
        take(page, "explorer.png")
        browser.close()
    return 0


def take(page: "Page", name: str) -> None:
    page.screenshot(path=HERE / name)
    print(HERE / name)


if __name__ == "__main__":
    sys.exit(main())
