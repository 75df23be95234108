"""A run says once, from its own first answers, how long it will still take."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers.support import write_config
from iterdeploy.deployment.forecast import forecast

Cli = Callable[..., Any]


def test_the_forecast_counts_what_is_owed_and_what_training_took() -> None:
    assert forecast([50, 150], 2.0, 90, None, 0) == (
        "after 2 answers of 100 tokens on average: about 3 min left for 90 answers"
    )
    assert forecast([100], 2.0, 90, None, 1).endswith("for 90 answers, and the training")
    assert forecast([100], 2.0, 90, 60.0, 3).endswith("about 6 min left, 3 min of it training")


def test_a_run_says_it_once_after_a_hundred_answers_and_not_before(run_cli: Cli, tmp_path: Path) -> None:
    settings = {"generations": 1, "tasks.deployed": 60, "tasks.held_out": 3, "sampling.max_new_tokens": 20,
                "sampling.batch_size": 40, "sampling.max_truncated": 1.0, "curation.policies": ["all"]}  # fmt: skip
    told = run_cli("run", write_config(tmp_path, settings), "--runs-dir", tmp_path / "runs").stderr
    said = re.findall(r"iterdeploy: after (\d+) answers of \d+ tokens on average: .* left for (\d+) answers", told)
    assert said == [("120", "126")]
    few = run_cli("run", write_config(tmp_path, {"generations": 0}, "few"), "--runs-dir", tmp_path / "runs").stderr
    assert "on average" not in few
