"""Features of traces, and your own features from a file."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.support import trace
from iterdeploy.curation.features import FEATURES, load_features
from iterdeploy.sections import ConfigError
from iterdeploy.types import Trace


def with_plan(*steps: str) -> Trace:
    made = trace()
    return replace(made, verdict=replace(made.verdict, answer=[step.split() for step in steps]))


def test_the_features_read_what_they_are_named_after() -> None:
    answer = trace(length=4, reasoning=7, strict=False)
    assert {name: feature(answer) for name, feature in FEATURES.items()} == {
        "plan_length": 4, "reasoning_tokens": 7, "answer_tokens": 3, "detour": 0, "strict_form": 0
    }  # fmt: skip


def test_a_detour_does_and_undoes_something_with_the_same_objects() -> None:
    assert FEATURES["detour"](with_plan("pickup a", "putdown a", "pickup b")) == 1
    assert FEATURES["detour"](with_plan("unstack a b", "putdown a", "pickup b", "stack b a")) == 0


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_own_features_are_the_public_functions_of_the_file_with_one_parameter(tmp_path: Path) -> None:
    found = load_features(
        write(
            tmp_path,
            "from math import sqrt\n"
            "from os.path import basename\n"
            "class Thing: pass\n"
            "def _helper(trace): return 1\n"
            "def two(trace, other): return 2\n"
            "def b_ends(trace): return float(trace.completions[0].text.endswith('0'))\n"
            "def a_root(trace): return sqrt(_helper(trace))\n",
        )
    )
    assert list(found) == ["b_ends", "a_root"]
    assert found["b_ends"](trace(index=0)) == 1 and found["b_ends"](trace(index=1)) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import nothing_of_this_name\n", "nothing_of_this_name"),
        ("def two(trace, other): return 2\n", "no public function with one parameter"),
        ("def detour(trace): return 2\n", "detour, which is a feature already"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_features(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    for path in (tmp_path / "none.py", tmp_path / "mine.txt", tmp_path):
        with pytest.raises(ConfigError, match="not a Python file"):
            load_features(path)
