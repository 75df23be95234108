"""Chat models: the model's own template, its switch for thinking, its special tokens, and what is read in an answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.stores import add
from helpers.support import assert_refused, config_with, model_copy, trace, write_config
from iterdeploy.config import ModelConfig
from iterdeploy.models.chat import (
    completion,
    has_template,
    load_tokenizer,
    prompt_ids,
    prompt_lengths,
    reasoning_tokens,
)
from iterdeploy.models.loading import base_policy, end_ids, load, model_folder
from iterdeploy.planning.extract import extract_plan
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.pretraining.tokenizer import build_tokenizer
from iterdeploy.record.store import TraceStore
from iterdeploy.samplers.transformers import TransformersSampler
from iterdeploy.sections import ConfigError
from iterdeploy.training.batching import collate
from iterdeploy.training.examples import make_examples
from iterdeploy.types import Conversation

Cli = Callable[..., Any]

TEMPLATE = """{% for message in messages %}{% if message.role == 'assistant' %}assistant:
{{ message.content.split('</think>')[-1] }}{% else %}{{ message.role }}:
{{ message.content }}{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}assistant:
<think>
{% if enable_thinking is defined and not enable_thinking %}</think>
{% endif %}{% endif %}"""
"""As those of thinking models are: it opens the reasoning, has a switch, and drops reasoning from what was said."""

OPENED = "user:\n{}<|end|>assistant:\n<think>\n"
PROMPT = "blocksworld\n(on-table b1)\ngoal\n(on-table b1)\n"


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model with a chat template; what it was not trained on it writes byte by byte."""
    folder = model_copy(tmp_path_factory.mktemp("chat") / "model")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def model_config(folder: Path, **values: Any) -> ModelConfig:
    return ModelConfig(name=str(folder), threads=1, **values)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, OPENED.format(PROMPT)),
        ({"chat": "always", "thinking": "on"}, OPENED.format(PROMPT)),
        ({"thinking": "off"}, OPENED.format(PROMPT) + "</think>\n"),
        ({"chat": "never"}, PROMPT),
        ({"chat": "never", "thinking": "off"}, PROMPT),
    ],
)
def test_prompts_are_what_the_template_makes_of_them(chat_model: Path, values: dict[str, Any], text: str) -> None:
    config = model_config(chat_model, **values)
    tokenizer = load_tokenizer(chat_model, config)
    ids = prompt_ids(tokenizer, PROMPT, config)
    assert tokenizer.decode(ids) == text
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_model_without_a_template_gets_the_prompt_as_it_stands(tmp_path: Path) -> None:
    config = ModelConfig()
    folder = model_folder(config)
    tokenizer = load_tokenizer(folder, config)
    assert not has_template(folder) and tokenizer.decode(prompt_ids(tokenizer, PROMPT, config)) == PROMPT
    with pytest.raises(ConfigError, match=r"model\.chat"):
        prompt_lengths(folder, [PROMPT], ModelConfig(chat="always"))


def test_a_template_is_found_wherever_models_keep_it(tmp_path: Path) -> None:
    for name, content in (
        ("chat_template.jinja", TEMPLATE),
        ("chat_template.json", json.dumps({"chat_template": TEMPLATE})),
        ("tokenizer_config.json", json.dumps({"chat_template": TEMPLATE})),
    ):
        folder = tmp_path / name
        folder.mkdir()
        assert not has_template(folder)
        (folder / name).write_text(content)
        assert has_template(folder)


@pytest.mark.parametrize("values", [{}, {"chat": "never"}])
def test_prompts_are_as_long_as_what_the_model_is_asked_with(chat_model: Path, values: dict[str, Any]) -> None:
    config = config_with({"model.name": str(chat_model), "sampling.max_new_tokens": 2})
    config = config.model_copy(update={"model": model_config(chat_model, **values)})
    prompts = [task.prompt for task in PlanningTasks(config.tasks, 1).deployed(0)][:3]
    with TransformersSampler(base_policy(chat_model), config) as sampler:
        asked = [len(said.prompt_token_ids) for said in sampler.sample(prompts, 1)]
    assert prompt_lengths(chat_model, prompts, config.model) == asked


def test_the_context_is_checked_with_the_template_around_the_prompt(
    chat_model: Path, run_cli: Cli, tmp_path: Path
) -> None:
    """A context that holds the longest bare prompt and answer, but not the template's words as well."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in chat_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tasks = PlanningTasks(config_with().tasks, 5)
    prompts = [task.prompt for task in [*tasks.deployed(0), *tasks.held_out]]
    bare = max(prompt_lengths(folder, prompts, model_config(folder, chat="never")))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": bare + 80}))
    path = write_config(tmp_path, {"model.name": str(folder)})
    run_cli("run", path, "--dry-run", "--set", "model.chat=never")
    assert_refused(run_cli("run", path, "--dry-run", check_exit=2), "sampling.max_new_tokens", "context")


ANSWERS = [
    "<think>\nfirst b1\n</think>\n<plan>\n(pickup b1)\n</plan>",
    "first b1\n</think>\n<plan>\n(pickup b1)\n</plan>",
    "first b1</think>\n\n<plan>\n(pickup b1)\n</plan>",
    "</think></think>",
    "<plan>\n(pickup b1)\n</plan>",
    "<think>\nfirst b1 and then",
    "",
]


@pytest.mark.parametrize(
    "words", [[], ["</think>"], ["</think>\n", "<think>\n", " b1"]], ids=["bytes", "mark", "words"]
)
@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_reasoning_tokens_are_right_however_the_mark_is_written_and_whoever_opened_it(
    words: list[str], answer: str
) -> None:
    tokenizer = build_tokenizer(words)
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    counts = (i for i in range(len(ids) + 1) if "</think>" in str(tokenizer.decode(ids[:i])))
    assert reasoning_tokens(tokenizer, ids) == next(counts, 0)


def test_special_tokens_leave_the_text_but_never_the_ids_and_tags_stay() -> None:
    tokenizer = build_tokenizer([])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>", "<think>", "</think>"]})
    text = "<think>hm</think>\n<plan>\n(pickup b1)\n</plan><|turn|>"
    ids = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    said = completion(tokenizer, [5], ids, None, "stop")
    assert said.token_ids == tuple(ids)
    assert said.text == text.removesuffix("<|turn|>")
    assert said.reasoning_tokens == 4
    found = extract_plan(said.text)
    assert found.strict and found.steps == (("pickup", "b1"),)


def test_the_reasoning_that_a_template_drops_is_trained_on(chat_model: Path, tmp_path: Path) -> None:
    config = config_with({"model.name": str(chat_model), "sampling.temperature": 2.0, "sampling.max_new_tokens": 60})
    with TransformersSampler(base_policy(chat_model), config) as sampler:
        said = max(sampler.sample([PROMPT] * 6, 3), key=lambda one: len(one.token_ids))
    store = TraceStore(tmp_path / "traces.sqlite")
    add(store, replace(trace("sampled"), id="sampled", completions=(said,)))
    (example,) = make_examples(store.each(["sampled"]), {"sampled": 1.0})
    store.close()
    batch = collate([example], 1)
    assert batch.ids[0].tolist() == [*said.prompt_token_ids, *said.token_ids]
    assert batch.loss_mask[0].tolist() == [0.0] * len(said.prompt_token_ids) + [1.0] * len(said.token_ids)


@pytest.mark.parametrize(
    ("text", "strict"),
    [
        ("<think>\nhm\n</think>\n\n<plan>\n(pickup b1)\n(stack b1 b2)\n</plan>", True),
        ("hm, (putdown b9) would be wrong\n</think>\n<plan>\n(pickup b1)\n(stack b1 b2)\n</plan>", True),
        ("<plan>\n(pickup b1)\n(stack b1 b2)\n</plan>", True),
        ("Sure! Here is the plan:\n\n<plan>\n(pickup b1)\n(stack b1 b2)\n</plan>\nI hope this helps.", False),
        ("Here is the plan:\n```pddl\n(pickup b1)\n(stack b1 b2)\n```", False),
        ("hm\n</think>\nThe plan:\n1. (pickup b1)\n2. (stack b1 b2)", False),
    ],
)
def test_plans_are_read_with_and_without_thinking(text: str, strict: bool) -> None:
    found = extract_plan(text)
    assert found.steps == (("pickup", "b1"), ("stack", "b1", "b2")) and found.strict == strict


def test_every_end_token_that_the_model_names_ends_an_answer(chat_model: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(chat_model, model_config(chat_model))
    (tmp_path / "config.json").write_text(json.dumps({"eos_token_id": 7}))
    assert end_ids(tmp_path, tokenizer) == {0, 7}
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [8, 9]}))
    assert end_ids(tmp_path, tokenizer) == {0, 8, 9}
    (tmp_path / "generation_config.json").write_text("{}")
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"eos_token_id": [3]}}))
    assert end_ids(tmp_path, tokenizer) == {0, 3}


def test_the_embedded_model_has_the_end_token_that_transformers_reads(chat_model: Path) -> None:
    import torch

    here = load(base_policy(chat_model), model_config(chat_model), torch.float32)
    config: Any = here.model.generation_config
    assert here.end_ids == {config.eos_token_id}


def test_a_model_that_names_no_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    tokenizer = build_tokenizer([])
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="end-of-sequence"):
        end_ids(tmp_path, tokenizer)


def test_a_conversation_goes_on_from_the_sampled_ids_and_only_the_new_message_is_rendered(chat_model: Path) -> None:
    config = model_config(chat_model)
    tokenizer = load_tokenizer(chat_model, config)
    first = prompt_ids(tokenizer, PROMPT, config)
    said = tokenizer("hm\n</think>\n(pickup b1)", add_special_tokens=False)["input_ids"]
    call = completion(tokenizer, first, [*said, tokenizer.eos_token_id], None, "stop")
    again = prompt_ids(tokenizer, Conversation((PROMPT, "@answer@ (holding b1)"), (call,)), config)
    known = [*first, *said, tokenizer.eos_token_id]
    assert again[: len(known)] == known, "the reasoning that the template would drop is still there"
    assert tokenizer.decode(again[len(known) :]) == OPENED.format("@answer@ (holding b1)")
    cut = replace(call, token_ids=tuple(said), finish_reason="length")
    goes_on = prompt_ids(tokenizer, Conversation((PROMPT, "x"), (cut,)), config)
    assert tokenizer.decode(goes_on[len(first) + len(said) :]) == "<|end|>" + OPENED.format("x")
