"""Solved tasks before the task: as turns of the chat or as text, the same ids when it samples and when it trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.support import config_with, iterdeploy, model_copy, whole_traces, write_config
from iterdeploy.config import ModelConfig
from iterdeploy.models.chat import load_tokenizer, plain_text, prompt_ids, prompt_lengths
from iterdeploy.planning.parsed import content, problem_of
from iterdeploy.planning.taskset import PlanningTasks
from iterdeploy.record.store import TraceStore
from iterdeploy.sections import ConfigError
from iterdeploy.steps.components import assemble
from iterdeploy.tasks import demonstrated, task_set
from iterdeploy.training.examples import make_examples
from iterdeploy.types import Completion, Conversation, Demonstration, Status, Task

TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system message') }}{% endif %}" + TEMPLATE
SHOWN = (Demonstration("two?\n", "<plan>\n(a)\n</plan>"), Demonstration("three?\n", "<plan>\n(b)\n</plan>"))


def chat_copy(folder: Path, template: str = TEMPLATE) -> Path:
    (model_copy(folder) / "chat_template.jinja").write_text(template)
    return folder


def said(text: str) -> Completion:
    return Completion(text, (), (), None, "stop", 0)


def contents(tasks: Sequence[Task]) -> set[str]:
    return {content(problem_of(task.payload["problem"], task.payload["domain"])) for task in tasks}


@pytest.mark.parametrize("extra", [{}, {"tasks.obfuscate": True}, {"tasks.prompt": "full"}])
def test_demonstrations_are_solved_tasks_that_are_neither_deployed_nor_held_out(extra: dict[str, Any]) -> None:
    config = config_with(
        {"tasks.sizes": "2-3", "tasks.examples": 40, "tasks.held_out": 30, "tasks.fresh": True, **extra}
    )
    tasks = PlanningTasks(config.tasks, 3)
    shown = tasks.demonstrations("blocksworld")
    assert len(shown) == 40 and shown == PlanningTasks(config.tasks, 3).demonstrations("blocksworld")
    for example, task in zip(shown, tasks._examples, strict=True):
        assert example.prompt == task.prompt and example.answer.startswith("<plan>\n(")
        assert tasks.judge(task, [said(example.answer)]).status is Status.VALID
    asked = [*tasks.held_out, *(task for generation in range(3) for task in tasks.deployed(generation))]
    assert not contents(asked) & contents(tasks._examples)


def test_a_deployed_task_that_says_the_same_in_other_words_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the check, some of the 900 tasks of two blocks are among the 40 shown."""
    config = config_with({"tasks.sizes": "2", "tasks.examples": 40, "tasks.held_out": 0, "tasks.deployed": 900})
    tasks = PlanningTasks(config.tasks, 3)
    assert not contents(tasks.deployed(0)) & contents(tasks._examples)
    blind = PlanningTasks(config.tasks, 3)
    monkeypatch.setattr(blind, "_examples", [])
    assert contents(blind.deployed(0)) & contents(tasks._examples)


def test_without_examples_the_tasks_are_those_that_they_were() -> None:
    few, none = (PlanningTasks(config_with({"tasks.examples": n}).tasks, 3) for n in (2, 0))
    assert few.held_out == none.held_out and none.demonstrations("blocksworld") == []


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        (
            TEMPLATE,
            {"system": "Be brief."},
            "<system>Be brief.</system><user>two?\n</user><assistant><plan>\n(a)\n</plan></assistant>"
            "<user>three?\n</user><assistant><plan>\n(b)\n</plan></assistant><user>four?\n</user><assistant>",
        ),
        (
            TEMPLATE,
            {"chat": "never", "system": "Be brief."},
            "Be brief.\n\ntwo?\n<plan>\n(a)\n</plan>\n\nthree?\n<plan>\n(b)\n</plan>\n\nfour?\n",
        ),
    ],
)
def test_demonstrations_are_turns_of_the_chat_or_text(
    tmp_path: Path, template: str, values: dict[str, Any], text: str
) -> None:
    folder = chat_copy(tmp_path / "model", template)
    config = ModelConfig(name=str(folder), **values)
    tokenizer = load_tokenizer(folder, config)
    ids = prompt_ids(tokenizer, Conversation(("four?\n",), (), SHOWN), config)
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"] and tokenizer.decode(ids) == text
    assert prompt_lengths(folder, [Conversation(("four?\n",), (), SHOWN)], config) == [len(ids)]


def test_a_template_that_refuses_a_system_message_is_an_error_that_says_so(tmp_path: Path) -> None:
    folder = chat_copy(tmp_path / "model", NO_SYSTEM)
    config = config_with({"model.name": str(folder), "model.system": "Be brief."})
    with pytest.raises(ConfigError, match=r"no system message; leave model\.system out"):
        assemble(config)


def test_what_trains_is_token_by_token_what_was_sampled_after_the_demonstrations(tmp_path: Path) -> None:
    """A whole run: every stored prompt is the template's text with the demonstrations in it, and begins its example."""
    folder = chat_copy(tmp_path / "model")
    overrides = {"model.name": str(folder), "model.system": "Plan.", "generations": 1, "tasks.examples": 2,
                 "tasks.deployed": 3, "tasks.held_out": 2, "sampling.samples": 1, "sampling.max_new_tokens": 6,
                 "sampling.max_truncated": 1.0, "curation.policies": ["all"],
                 "training.validation_share": 0.0}  # fmt: skip
    done = iterdeploy("run", write_config(tmp_path, overrides), "--runs-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    config = config_with(overrides)
    tokenizer = load_tokenizer(folder, config.model)
    shown = demonstrated(task_set(config), config.tasks)
    store = TraceStore(tmp_path / "tiny" / "traces.sqlite", read_only=True)
    tasks, traces = {task.id: task for task in store.tasks()}, list(whole_traces(store))
    store.close()
    assert {trace.generation for trace in traces} == {0, 1}
    for trace in traces:
        task, call = tasks[trace.task_id], trace.completions[0]
        turns = "".join(f"<user>{d.prompt}</user><assistant>{d.answer}</assistant>" for d in shown(task))
        text = f"<system>Plan.</system>{turns}<user>{task.prompt}</user><assistant>"
        assert list(call.prompt_token_ids) == tokenizer(text, add_special_tokens=False)["input_ids"]
        (example,) = make_examples([trace], {trace.id: 1.0})
        assert example.token_ids == call.prompt_token_ids + call.token_ids
        assert example.spans == ((len(call.prompt_token_ids), len(example.token_ids)),)
    assert all(len(shown(task)) == 2 and task.prompt not in {d.prompt for d in shown(task)} for task in tasks.values())


SUMS = """
from iterdeploy import Demonstration, Split, Task, Verdict

def task(number, split):
    return Task.make(domain="sums", size=1, split=split, prompt=f"{number} + 1 =", payload={"n": str(number)})

class Sums:
    def __init__(self, options, seed):
        self.held_out = [task(n, "held_out") for n in range(3)]
    def deployed(self, generation):
        return [task(n, "deployed") for n in range(3, 9)]
    def judge(self, task, completions):
        return Verdict.valid()
class Showing(Sums):
    first = 8
    def demonstrations(self, domain, count):
        return [Demonstration(f"{self.first + n} + 1 =", f" {self.first + n + 1}") for n in range(count)]
class Leaking(Showing):
    first = 2
"""


def test_a_task_set_of_ones_own_may_show_examples_but_never_a_held_out_task(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(SUMS)

    def made(name: str) -> Any:
        values = {"kind": f"{tmp_path}/sums.py:{name}", "examples": 2}
        config = config_with()
        return config.model_copy(update={"tasks": type(config.tasks).model_validate(values)})

    config = made("Showing")
    tasks = task_set(config)
    assert [task.prompt for task in tasks.deployed(0)] == [f"{n} + 1 =" for n in range(3, 8)], "8 + 1 is shown"
    shown = demonstrated(tasks, config.tasks)(tasks.held_out[0])
    assert plain_text(Conversation.opening("0 + 1 =", shown), ModelConfig()) == "8 + 1 = 9\n\n9 + 1 = 10\n\n0 + 1 ="
    for name, words in (("Sums", "no method `demonstrations"), ("Leaking", "none of them of a held-out task")):
        config = made(name)
        with pytest.raises(ConfigError, match=words):
            task_set(config).deployed(0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "pddl", "domain_file": "d.pddl", "problem_files": "*.pddl"}, "bring no planner"),
        ({"interactive": True, "deployed": 1, "held_out": 0}, "whole plan"),
    ],
)
def test_examples_that_cannot_be_shown_are_refused(values: dict[str, Any], words: str) -> None:
    config = config_with()
    tasks = type(config.tasks).model_validate({"examples": 1, **values})
    with pytest.raises(ConfigError, match=words):
        task_set(config.model_copy(update={"tasks": tasks}))
