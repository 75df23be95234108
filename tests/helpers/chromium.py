"""The machine's Chromium, for tests of pages: skipped where it or Playwright is not installed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDED = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
TIMEOUT = 30_000
"""Milliseconds that anything may take; nothing takes them but on a machine that is busy with other things."""


def playwright() -> Any:
    """Playwright's synchronous interface."""
    found = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found.expect.set_options(timeout=TIMEOUT)
    return found


@contextmanager
def started() -> Iterator[Any]:
    with playwright().sync_playwright() as running:
        found = running.chromium.launch(executable_path=PROGRAM, args=OPTIONS)
        yield found
        found.close()


def axe() -> Any:
    """Looks for what keeps people out of a page."""
    return pytest.importorskip("axe_core_python.sync_playwright", reason="axe is not installed").Axe()
