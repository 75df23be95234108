"""The REINFORCE twin: the whole training phase after one generation, done again in other ways, and compared.

A gradient is one step. Here whole phases are compared: from the same weights, with the same optimiser, rates and number
of steps,

- "run": what the run did, on the pool that curation made;
- "rerun": the same pool with its batches in another order: how near two runs of the same thing are, the yardstick;
- "reinforce": all valid traces of all generations so far, each weighted by its reward, 1; invalid ones have none;
- "on_policy": the same with this generation's alone (where there are older ones);
- "everything": all traces, valid or not, each weighted 1: what training without any selection does.

Of each the change of all weights, how far its policy is from this generation's, and the reward that it implies: the
difference of log-probabilities of this generation's held-out answers, which nothing trained on. Each phase that is done
is kept next to theory.json until all of its generation are, so an interrupted twin goes on where it was.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from iterdeploy.models.loading import load
from iterdeploy.models.scoring import policy_logprobs
from iterdeploy.record.run_dir import Stage
from iterdeploy.theory.answers import GROUPS, Subject, TheoryError
from iterdeploy.theory.implied import Scored, implied
from iterdeploy.theory.records import Trained, Twin
from iterdeploy.training.examples import make_examples
from iterdeploy.training.trainer import GradientTrainer, TrainingExamples, read_policy
from iterdeploy.types import Policy, Split, Status, Trace, content_hash

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

HELD_OUT = 1_000
"""Held-out answers that are scored, at most."""


def twin(subject: Subject) -> Twin:
    """Of the subject's generation. TheoryError where the run has not trained the next one."""
    training = subject.run_dir.training(subject.generation + 1)
    if training is None:
        raise TheoryError(
            f"generation {subject.generation} has not trained the next one yet, so there is nothing to train again; "
            "resume the run first"
        )
    began, steps = time.process_time(), training.steps or 0
    stage = Stage(subject.run_dir.path / f"theory-twin-{subject.generation}")
    pools = {"run": subject.curated, "rerun": subject.curated, **selections(subject)}
    policies = {"run": subject.policy(subject.generation + 1)}
    for name in pools:
        if name not in policies:
            policies[name] = _trained(subject, name, pools[name], steps, stage)
    cosines, lengths = _changes(subject, policies)
    answers = _held_out(subject)
    scored = _scored(subject, answers, policies)
    own = [float(one.gain.sum()) for one in scored["run"]]
    found = Twin(
        generation=subject.generation,
        starts_from=subject.start.generation,
        answers=len(answers),
        valid=sum(one.valid for one in answers),
        phases={
            name: Trained(
                traces=len(pools[name]),
                steps=steps,
                length=lengths[name],
                cosines=cosines[name],
                implied=implied(scored[name], None if name == "run" else own),
            )
            for name in policies
        },
        cpu_seconds=round(time.process_time() - began, 1),
    )
    shutil.rmtree(stage.path)
    return found


def selections(subject: Subject) -> dict[str, dict[str, float]]:
    """Phase -> trace id -> weight, of the deployed tasks' traces so far."""
    traces = subject.run_dir.store.traces(up_to=subject.generation, split=Split.DEPLOYED)
    known = [(trace.id, trace.generation, trace.valid) for trace in traces if trace.verdict.status is not Status.ERROR]
    found = {
        "reinforce": {name: 1.0 for name, _, valid in known if valid},
        "on_policy": {name: 1.0 for name, generation, valid in known if valid and generation == subject.generation},
        "everything": {name: 1.0 for name, _, _ in known},
    }
    return found if subject.generation else {name: found[name] for name in ("reinforce", "everything")}


def _trained(subject: Subject, name: str, weights: Mapping[str, float], steps: int, stage: Stage) -> Policy:
    """The policy of one phase, trained now or by an interrupted call."""
    config, generation = subject.config, subject.generation + 1
    rerun = name == "rerun"
    changed: dict[str, object] = {"steps": steps} if rerun else {"steps": steps, "objective": "sft"}
    trainer = GradientTrainer(config.training.model_copy(update=changed), config.model, config.seed + rerun)
    subject.say(f"generation {subject.generation}: training on {len(weights)} traces, {name.replace('_', ' ')}")
    examples = make_examples(subject.run_dir.store.each(weights), weights)
    pool = TrainingExamples(examples, content_hash(name, weights))
    folder = stage.folder(name, lambda out: trainer.fit(subject.start, generation, pool, out, lambda done, total: None))
    return replace(read_policy(folder), base_model=subject.parts.base.base_model)


def _changes(subject: Subject, policies: Mapping[str, Policy]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Phase -> phase -> cosine of their changes of all weights; and phase -> length of its change."""
    start = all_weights(subject, subject.start)
    changes = {name: all_weights(subject, policy) - start for name, policy in policies.items()}
    lengths = {name: float(change @ change) ** 0.5 for name, change in changes.items()}
    cosines = {
        name: {
            other: float(changes[name] @ changes[other]) / max(1e-30, lengths[name] * lengths[other])
            for other in changes
        }
        for name in changes
    }
    return cosines, lengths


def all_weights(subject: Subject, policy: Policy) -> "Array":
    """All of them in a row, an adapter merged into what it adapts."""
    import numpy as np
    import torch

    here = load(policy, subject.config.model, torch.float32)
    return np.concatenate([one.detach().double().cpu().numpy().ravel() for one in here.model.parameters()])


def _held_out(subject: Subject) -> list[Trace]:
    """This generation's held-out answers, tasks in the order of their hashes."""
    found = subject.run_dir.store.traces(generation=subject.generation, split=Split.HELD_OUT)
    known = [trace for trace in found if trace.verdict.status is not Status.ERROR]
    if not known:
        raise TheoryError(f"generation {subject.generation} has no held-out answers, which the twin needs")
    return sorted(known, key=lambda trace: (content_hash("theory", trace.task_id), trace.sample_index))[:HELD_OUT]


def _scored(subject: Subject, answers: Sequence[Trace], policies: Mapping[str, Policy]) -> dict[str, list[Scored]]:
    """What each phase did to the log-probabilities of these answers, at the temperature that the run samples at."""
    calls = [call for one in answers for call in one.completions]
    rows = [(call.prompt_token_ids, call.token_ids) for call in calls]

    def scores(policy: Policy) -> "list[Array]":
        return policy_logprobs(policy, rows, subject.config, "float32", subject.temperature)

    subject.say(f"generation {subject.generation}: scoring {len(answers)} held-out answers")
    before = scores(subject.current)
    return {
        name: [
            Scored(
                one.task_id,
                int(content_hash("group", one.task_id), 16) % GROUPS,
                one.valid,
                call.reasoning_tokens,
                after - base,
            )
            for one, call, after, base in zip(answers, calls, scores(policy), before, strict=True)
        ]
        for name, policy in policies.items()
    }
