"""What hurts users of systems like this one: every promise of docs/models.md names the tests that keep it."""

import re

import pytest

from helpers.support import ROOT

HEADING = "## What goes wrong elsewhere"
PROMISES = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs/models.md").read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ")
][1:]


def test_the_table_is_read() -> None:
    assert len(PROMISES) >= 15


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0])
def test_the_tests_that_keep_a_promise_are_there(row: list[str]) -> None:
    named = re.findall(r"\[(.+?)\]\(\.\./(tests/\S+\.py)\)", row[2])
    assert named
    for title, file in named:
        function = "test_" + re.sub(r"\W+", "_", title)
        assert f"\ndef {function}(" in (ROOT / file).read_text("utf-8"), f"{file}::{function}"
