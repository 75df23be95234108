"""Makes the record of a planning task: what the model reads, and all that is needed to judge an answer to it.

The payload holds, as text: `domain` and `problem`, the true PDDL; with `tasks.obfuscate` or `tasks.names` also
`true_names`, JSON of shown name -> true name; with `tasks.hidden` these rules as JSON in `hidden`; and `reference_cost`
where a reference planner, which sees everything, has a plan.
"""

import json

from iterdeploy.config import TasksConfig
from iterdeploy.pddl import Domain, Problem
from iterdeploy.planning import prompts
from iterdeploy.planning.hidden import seen
from iterdeploy.planning.mapping import mapped
from iterdeploy.planning.obfuscate import Disguise, disguise
from iterdeploy.planning.parsed import domain_of, problem_of
from iterdeploy.planning.references import recognise, reference_cost
from iterdeploy.types import Split, Task, content_hash


def make_task(domain_text: str, problem_text: str, name: str, size: int, split: Split, config: TasksConfig) -> Task:
    """`name` is the domain's, as the run's records are to call it."""
    payload = {"domain": domain_text, "problem": problem_text}
    shown = (domain_text, problem_text)
    if renamed := _renamed(domain_text, problem_text, config):
        payload["true_names"] = json.dumps(renamed.true_names)
        shown = (renamed.domain, renamed.problem)
    if config.hidden:
        payload["hidden"] = json.dumps(config.hidden)
    cost = reference_cost(domain_text, problem_text, config.references)
    if cost is not None:
        payload["reference_cost"] = str(cost)
    return Task(task_id(name, problem_text), name, size, split, _prompt(domain_text, shown, config), payload)


def _renamed(domain_text: str, problem_text: str, config: TasksConfig) -> Disguise | None:
    if config.names != "own":
        return mapped(domain_text, problem_text, {} if config.names == "known" else config.names)
    return disguise(domain_text, problem_text) if config.obfuscate else None


def task_id(name: str, problem_text: str) -> str:
    return content_hash(name, problem_text)


def _prompt(domain_text: str, shown: tuple[str, str], config: TasksConfig) -> str:
    domain = domain_of(shown[0])
    problem = problem_of(shown[1], shown[0])
    visible = seen(*shown, (), config.hidden) if config.hidden else None
    if config.prompt == "full" and config.interactive:
        task = shown[1] if visible is None else prompts.facts(domain.name, problem, visible)
        return prompts.full_interactive(shown[0], task, config.hidden)
    if config.prompt == "full":
        return prompts.full(*shown, prompts.example_for(domain_of(domain_text)))
    if visible is not None:
        return prompts.facts(domain.name, problem, visible)
    return compact_prompt(domain, problem)


def compact_prompt(domain: Domain, problem: Problem) -> str:
    """The facts of a task of any domain; of a built-in one, whatever it is called, in its own rendering."""
    ours = recognise(domain)
    return prompts.facts(domain.name, problem) if ours is None else prompts.compact(ours, problem)


def prompts_in_words(config: TasksConfig) -> str:
    said: list[str] = [config.prompt]
    said += [f"after {config.examples} solved examples"] if config.examples else []
    said += ["facts in any order"] if config.layout != "own" else []
    said += ["half of the goals cut"] if config.layout == "partial" else []
    said += ["obfuscated"] if config.obfuscate else []
    said += ["one action in each turn"] if config.interactive else []
    said += [f"hidden: {', '.join(config.hidden)}"] if config.hidden else []
    return ", ".join(said)
