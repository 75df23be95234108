"""Fixtures: the machine's browser, and pages opened in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from helpers import chromium
from helpers.pages import Open, sheets


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def sheet(browser: Any) -> Iterator[Open]:
    with sheets(browser) as open_sheet:
        yield open_sheet
