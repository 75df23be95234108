"""THE FILE TO READ FIRST: deploy -> judge -> measure -> curate -> fine-tune, again and again.

Generation 0 is the base model. Each generation answers the deployed and the held-out tasks; a validator judges every
answer; curation picks, from the deployed tasks' traces of all generations so far, the pool that users would have
published; the next generation is fine-tuned on it. No teacher, no reference answers, no reward model.

A run is a sequence of outputs that are finished once they exist (see `record`), so this function is also how a run
resumes: it is called again and does what is still owed.
"""

from iterdeploy.deployment.deploy import ask, deploy
from iterdeploy.deployment.measurements import evaluate
from iterdeploy.deployment.sampled import Sampled
from iterdeploy.steps.curate import curate
from iterdeploy.steps.fine_tune import fine_tune
from iterdeploy.steps.measure import measure
from iterdeploy.steps.run import Run
from iterdeploy.steps.schedule import deployed
from iterdeploy.steps.stops import check_answers, check_pool


def run_loop(run: Run) -> None:
    """Runs, or continues, the whole loop. Raises `Stopped` when going on would be pointless, and says why."""
    samples = run.config.sampling
    policy = run.policy(0)
    for generation in range(run.config.generations + 1):
        with run.generation(generation):
            requests = ask(deployed(generation, run), samples.samples)
            requests += ask(run.tasks.held_out, samples.held_out_samples)
            deploy(policy, requests, Sampled(run), run)
            check_answers(policy, run)
            evaluate(policy, run)

            measure(policy, run)
            if generation < run.config.generations:
                pool = curate(policy, run)
                check_pool(pool, policy, run)
                policy = fine_tune(policy, pool, run)
