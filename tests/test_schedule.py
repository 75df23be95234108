"""Sizes that follow the frontier: easy to hard, from the stored answers alone."""

from pathlib import Path

import pytest

from helpers.support import config_with, iterdeploy, write_config
from iterdeploy.metrics.results import TaskResult
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.record.store import TraceStore
from iterdeploy.sections import ConfigError
from iterdeploy.steps.schedule import edge
from iterdeploy.tasks import task_set
from iterdeploy.types import Split

SIZES = {"blocksworld": [2, 3, 4, 6, 8, 9]}


def results(solved: dict[int, int], split: Split = Split.DEPLOYED) -> list[TaskResult]:
    """Twenty tasks of each size, of which so many are solved."""
    return [
        TaskResult(0, split, "blocksworld", size, f"{size}-{i}", int(i < count), 1)
        for size, count in solved.items()
        for i in range(20)
    ]


@pytest.mark.parametrize(
    ("solved", "asked"),
    [
        ({}, [2, 3, 4]),
        ({2: 1, 3: 0, 4: 0}, [2, 3, 4]),
        ({2: 20, 3: 20, 4: 2}, [3, 4, 6]),
        ({2: 20, 3: 3, 4: 1}, [2, 3, 4]),
        ({4: 20, 6: 10, 8: 5}, [6, 8, 9]),
        ({6: 20, 8: 20, 9: 20}, [6, 8, 9]),
    ],
)
def test_the_next_sizes_stand_around_the_largest_of_which_a_tenth_is_solved(
    solved: dict[int, int], asked: list[int]
) -> None:
    assert edge(SIZES, results(solved)) == {"blocksworld": asked}


def test_what_is_held_out_chooses_nothing() -> None:
    assert edge(SIZES, results({9: 20}, Split.HELD_OUT)) == {"blocksworld": [2, 3, 4]}


def test_tasks_at_the_edge_are_new_and_none_is_held_out() -> None:
    config = config_with({"tasks.schedule": "frontier", "tasks.sizes": "2-9"})
    tasks = task_set(config)
    assert isinstance(tasks, PlanningTasks)
    first, second = (tasks.deployed_at(generation, {"blocksworld": [4, 5, 6]}) for generation in (1, 2))
    assert [task.size for task in first] == [4, 5, 6] * 4
    assert not {task.id for task in first} & {task.id for task in [*second, *tasks.held_out]}
    with pytest.raises(ConfigError, match="write the sizes out"):
        task_set(config_with({"tasks.schedule": "frontier", "tasks.sizes": "base"}))


def test_a_run_grows_by_a_step_at_a_time(tmp_path: Path) -> None:
    config = write_config(tmp_path, {"tasks.schedule": "frontier", "tasks.sizes": "2-8", "generations": 1,
                                     "sampling.max_new_tokens": 200})  # fmt: skip
    done = iterdeploy("run", config, "--runs-dir", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    store = TraceStore(tmp_path / "runs" / "tiny" / "traces.sqlite", read_only=True)
    rows = list(store.results(2))
    store.close()
    asked = [
        sorted({row.size for row in rows if row.split == Split.DEPLOYED and row.generation == generation})
        for generation in (0, 1)
    ]
    assert asked[0] == [2, 3, 4]
    before = [row for row in rows if row.generation == 0]
    assert asked[1] == edge({"blocksworld": list(range(2, 9))}, before)["blocksworld"]
    assert asked[1] == [3, 4, 5], "the embedded model solves tasks of four blocks"
