"""Texts that end an answer: found wherever tokens part them, kept in the answer, and no end mark is made up."""

from pathlib import Path

import pytest

from helpers.support import config_with
from iterdeploy.config import ModelConfig
from iterdeploy.models.chat import load_tokenizer
from iterdeploy.models.loading import base_policy, model_folder
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.samplers import check_sampler
from iterdeploy.samplers.stop_texts import StopTexts
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.sections import ConfigError

CONFIG = config_with({"tasks.held_out": 0, "sampling.stop": ["(put", "\n<plan>"]})
PROMPTS = [task.prompt for task in PlanningTasks(CONFIG.tasks, 1).deployed(0)]


@pytest.mark.parametrize("text", ["</plan>", "straße→", "é", " b2"])
def test_a_text_is_found_with_the_token_that_completes_it_and_not_before(text: str) -> None:
    """The tokenizer writes what it does not know byte by byte."""
    tokenizer = load_tokenizer(model_folder(ModelConfig()), ModelConfig())
    tokens = tokenizer(f"first {text} and more", add_special_tokens=False)["input_ids"]
    found = [StopTexts(tokenizer, ["never", text]).reached(tokens[: n + 1]) for n in range(len(tokens))]
    whole = next(n for n in range(len(tokens)) if text in tokenizer.decode(tokens[: n + 1]))
    assert found.index(True) == whole > 0


def test_an_answer_ends_with_the_text_and_is_else_the_one_that_it_was() -> None:
    folder = model_folder(CONFIG.model)
    with TransformersSampler(base_policy(folder), CONFIG) as sampler:
        answers = sampler.sample(PROMPTS[:4], 11)
        ends = sampler._here.end_ids
    free = CONFIG.model_copy(update={"sampling": CONFIG.sampling.model_copy(update={"stop": (), "temperature": 0.0})})
    stopped = free.model_copy(update={"sampling": CONFIG.sampling.model_copy(update={"temperature": 0.0})})
    for said in answers:
        assert said.finish_reason == "stop_text" and not ends & set(said.token_ids)
        assert [said.text.count(text) for text in CONFIG.sampling.stop] in ([0, 1], [1, 0])
        assert said.text.endswith(("(put", "<plan>", "<plan>\n")), said.text
        assert said.logprobs is not None and len(said.logprobs) == len(said.token_ids)
    with (
        TransformersSampler(base_policy(folder), free) as whole,
        TransformersSampler(base_policy(folder), stopped) as cut,
    ):
        for long, short in zip(whole.sample(PROMPTS[:4], 1), cut.sample(PROMPTS[:4], 1), strict=True):
            assert long.token_ids[: len(short.token_ids)] == short.token_ids != long.token_ids


def test_servers_are_not_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.stop"):
        check_sampler(config_with({"sampling.stop": ["x"], "sampling.sampler": "openai", "server.address": "http://a"}))
