"""What will probably come to nothing although it can be done: said by a dry run, and refused nowhere."""

from collections.abc import Iterator, Sequence

from iterdeploy.config import RunConfig
from iterdeploy.models.pretrained import Pretraining, pretraining_of
from iterdeploy.planning.mapping import match
from iterdeploy.planning.parsed import content, domain_of, problem_of
from iterdeploy.planning.references import recognise
from iterdeploy.types import Task


def doubts(config: RunConfig, deployed: Sequence[Task], held_out: Sequence[Task]) -> Iterator[str]:
    """One paragraph for each doubt about a model that says what it was pretrained on."""
    known = pretraining_of(config.model.name)
    new = sorted({name for task in deployed if (name := _domain(task, config)) not in known.sizes})
    if known.sizes and new:
        yield (
            f"model.name: {config.model.name} was pretrained on {', '.join(known.sizes)} and has never seen "
            f"{', '.join(new)}, so expect no valid answer and nothing to train on. `iterdeploy pretrain` makes a model "
            "that has, from your PDDL files or from tasks with answers (docs/howto/own-domain.md says how); an "
            'instruction-tuned model may do with tasks.prompt = "full".'
        )
    shown = sum(_was_shown(task, known) for task in held_out)
    if shown:
        yield (
            f"model.name: {config.model.name} was pretrained on {shown} of the {len(held_out)} held-out tasks, so "
            "coverage on them does not say what it makes of new ones; hold out other files."
        )


def _domain(task: Task, config: RunConfig) -> str:
    """The domain by the name that pretraining has for it."""
    if not _has_pddl(task):
        return task.domain
    domain = domain_of(task.payload["domain"])
    if config.tasks.names != "own":
        return match(domain, {} if config.tasks.names == "known" else config.tasks.names).domain.name
    ours = recognise(domain)
    return task.domain if ours is None else ours.name


def _was_shown(task: Task, known: Pretraining) -> bool:
    return _has_pddl(task) and content(problem_of(task.payload["problem"], task.payload["domain"])) in known.tasks


def _has_pddl(task: Task) -> bool:
    return {"domain", "problem"} <= task.payload.keys()
