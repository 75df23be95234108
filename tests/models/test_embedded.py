"""The embedded base models and the laptop configurations: what they are, and that each domain's model plans in it."""

import json

import pytest

from iterdeploy.config_file import find_config, load, load_config
from iterdeploy.models.loading import base_policy, embedded_models, model_folder
from iterdeploy.pretraining.config import PretrainConfig
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.tasks import task_set
from iterdeploy.types import Status

SOLVED = {"blocksworld": "2-6", "rovers": "2-5", "sokoban": "5-8"}
"""Domain -> sizes of its demonstrations, where the base models solve about two of five."""
LAPTOP = {**{domain: [domain] for domain in SOLVED}, "three-domains": list(SOLVED)}
"""Configuration -> its domains; the base model has the configuration's name."""
configurations = pytest.mark.parametrize("name", list(LAPTOP))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "domain"), [(name, domain) for name, domains in LAPTOP.items() for domain in domains])
def test_the_base_model_plans_and_is_unreliable(name: str, domain: str) -> None:
    config = load_config(
        find_config(f"laptop/{name}"),
        [f"tasks.domains=['{domain}']", f"tasks.sizes={SOLVED[domain]}", "tasks.held_out=80", "tasks.deployed=1",
         "sampling.max_new_tokens=300"],
    )  # fmt: skip
    tasks = task_set(config)
    with TransformersSampler(base_policy(model_folder(config.model)), config) as sampler:
        answers = sampler.sample([task.prompt for task in tasks.held_out], 3)
    verdicts = [tasks.judge(task, [said]).status for task, said in zip(tasks.held_out, answers, strict=True)]
    assert 0.2 < verdicts.count(Status.VALID) / 80 < 0.7
    assert verdicts.count(Status.INVALID) > 0.2 * 80
    unreasoned = sum(said.reasoning_tokens <= 5 for said in answers)
    assert unreasoned < 0.1 * 80, "a slip may cut the reasoning's end mark, in one answer of a hundred"


@configurations
def test_a_model_s_folder_tells_how_it_was_made(name: str) -> None:
    told = json.loads((embedded_models()[f"{name}-1m"] / "pretraining.json").read_text(encoding="utf-8"))
    path = find_config(f"pretrain-{name}")
    config = load(PretrainConfig, path)
    assert PretrainConfig.model_validate_json(json.dumps(told["configuration"])) == config
    assert told["sizes"] == {domain: sorted(set(config.demonstrations.sizes[domain])) for domain in LAPTOP[name]}
    assert config.name == f"{name}-1m"


def test_all_models_together_are_small() -> None:
    files = [path for folder in embedded_models().values() for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6


@configurations
def test_the_twins_change_one_thing_each(name: str) -> None:
    config = load_config(find_config(f"laptop/{name}"))
    assert config.generations == 5 and not config.tasks.fresh and config.curation.policies == ("valid", "best_per_task")
    for twin, key in (("no-curation", "curation.policies"), ("fresh", "tasks.fresh")):
        changes = config.differences(load_config(find_config(f"laptop/{name}-{twin}")))
        assert {change.partition(":")[0] for change in changes} == {"description", key}
