"""THE FILE TO READ FIRST: deploy -> validate -> curate -> fine-tune, again and again.

Generation 0 is the base model. Each generation answers the deployed and the held-out tasks; a validator judges every
answer; curation picks, from the deployed tasks' traces of all generations so far, the pool that users would have
published; the next generation is fine-tuned on it. No teacher, no reference plans, no reward model.

A run is a sequence of outputs that are finished once they exist (see `run_dir` and `store`), so this function is also
how a run resumes: it is called again and does what is still owed.
"""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from iterdeploy.console.progress import Display
from iterdeploy.curation.policies import CurationPolicy, make_pool
from iterdeploy.record.run_dir import RunDir, Stage
from iterdeploy.record.store import TraceStore
from iterdeploy.steps.collect import ask, collect
from iterdeploy.steps.measure import measured
from iterdeploy.steps.parts import Parts
from iterdeploy.steps.stops import check_answers, check_pool
from iterdeploy.training.examples import make_examples
from iterdeploy.training.trainer import Pooled, read_policy
from iterdeploy.types import Policy, Split


def run(run_dir: RunDir, parts: Parts, display: Display) -> None:
    """Runs, or continues, the whole loop. Raises `Stopped` when going on would be pointless, and says why."""
    config, store = parts.config, run_dir.store
    policy = parts.base
    for generation in range(config.generations + 1):
        parts.clock.generation = generation
        stage = run_dir.generation(generation)

        requests = ask(parts.tasks.deployed(generation), config.sampling.samples)
        requests += ask(parts.tasks.held_out, config.sampling.held_out_samples)
        collect(requests, policy, generation, parts, store, display)
        check_answers(store, generation, config)

        stage.json("metrics.json", partial(measured, policy, generation, run_dir, parts))
        parts.tracking.update(run_dir)
        if generation < config.generations:
            curated = stage.json("curated.json", partial(curated_pool, store, generation, parts.curation))
            check_pool(curated, store, generation)
            policy = fine_tune(policy, generation + 1, curated, stage, run_dir, parts, display)

        store.add_seconds(parts.clock.take())
        display.generation(run_dir)


def curated_pool(store: TraceStore, generation: int, curation: CurationPolicy) -> dict[str, Any]:
    """The pool that trains the next generation, from the deployed tasks' traces of all generations so far."""
    return asdict(make_pool(curation, list(store.traces(up_to=generation, split=Split.DEPLOYED))))


def fine_tune(
    policy: Policy,
    generation: int,
    curated: dict[str, Any],
    stage: Stage,
    run_dir: RunDir,
    parts: Parts,
    display: Display,
) -> Policy:
    """The policy of `generation`, trained on the curated pool from the base model or from `policy`."""
    start = parts.trainer.start(parts.base, policy)

    def fit(out: Path) -> None:
        weights = curated["weights"]
        examples = make_examples(run_dir.store.by_ids(weights), weights)
        with parts.clock.activity("training"), display.bar(f"training generation {generation}", "tokens") as progress:
            parts.trainer.fit(start, generation, Pooled(examples, curated["digest"]), out, progress)

    return read_policy(stage.folder("policy", fit))
