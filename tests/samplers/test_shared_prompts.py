"""The samples of one prompt: it is read once, and every answer is the same bits as if it had been read for each."""

from typing import Any

import pytest

from helpers.support import config_with
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers import transformers
from iterdeploy.samplers.transformers import Row, TransformersSampler

CONFIG = config_with({"tasks.sizes": "2-4", "tasks.held_out": 0, "sampling.max_new_tokens": 40})
PROMPTS = [task.prompt for task in PlanningTasks(CONFIG.tasks, 1).deployed(0)]


@pytest.mark.parametrize(("prompts", "samples"), [(1, 8), (2, 5), (4, 2), (9, 3)])
@pytest.mark.parametrize("model", ["blocksworld-1m", "blocksworld-reader"])
def test_a_prompt_is_read_once_and_the_answers_are_the_same_bits(
    model: str, prompts: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_with({"model.name": model, "sampling.max_new_tokens": 40})
    asked = [prompt for prompt in PROMPTS[:prompts] for _ in range(samples)]
    read: list[int] = []
    padded = transformers._left_padded

    def counting(those: Any, here: Any) -> Any:
        read.append(len(those))
        return padded(those, here)

    monkeypatch.setattr(transformers, "_left_padded", counting)
    with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:
        shared = sampler.sample(asked, 7)

        def alone(rows: list[Row], model: Any) -> tuple[list[list[int]], list[int]]:
            return [row.prompt for row in rows], list(range(len(rows)))

        monkeypatch.setattr(transformers, "different_prompts", alone)
        assert sampler.sample(asked, 7) == shared, "ids and log-probabilities"
    assert read == [prompts, prompts * samples]
    assert len({answer.token_ids for answer in shared}) >= prompts
