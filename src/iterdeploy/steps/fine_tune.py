"""Fine-tunes: the next generation's policy, trained on a curated pool."""

from pathlib import Path

from iterdeploy.record.files import damaged
from iterdeploy.steps.clock import Activity
from iterdeploy.steps.run import Run
from iterdeploy.training.examples import StoredExamples
from iterdeploy.training.trainer import TrainingExamples
from iterdeploy.types import Policy, TrainingPool


def fine_tune(policy: Policy, pool: TrainingPool, run: Run) -> Policy:
    """The policy of the next generation, trained from the base model or from `policy`."""
    generation = policy.generation + 1
    start = run.trainer.start(run.policy(0), policy)

    def fit(out: Path) -> None:
        examples = StoredExamples(run.store.path, pool.weights)
        with (
            run.clock.activity(Activity.TRAINING),
            run.display.bar(f"training generation {generation}", "tokens") as progress,
        ):
            run.trainer.fit(start, generation, TrainingExamples(examples, pool.digest), out, progress)

    run.stage(policy.generation).folder("policy", fit)
    made = run.policy(generation)
    if (made.generation, made.curated_digest or pool.digest) != (generation, pool.digest):
        raise damaged(run.folder.policy(generation), "its policy.json is of another generation or pool")
    return made
