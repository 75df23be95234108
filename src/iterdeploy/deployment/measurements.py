"""Held-out tasks asked at several temperatures, only to measure: how far a policy gets depends on how it is decoded.

At temperature 0 every token is the likeliest one, so all answers to a task are the same and one is asked for. At the
temperature of the loop its own answers to held-out tasks count, and only further ones are asked for.
"""

from iterdeploy.deployment.deploy import ask, deploy
from iterdeploy.deployment.sampled import Sampled
from iterdeploy.steps.run import Run
from iterdeploy.types import Policy, Split


def evaluate(policy: Policy, run: Run) -> None:
    """What the configuration asks for."""
    wanted = run.config.evaluation
    for temperature in dict.fromkeys(wanted.temperatures):
        measure_at(policy, temperature, wanted.samples if temperature else 1, run)


def measure_at(policy: Policy, temperature: float, samples: int, run: Run) -> None:
    """Sees to it that every held-out task of the run has so many answers of the policy at the temperature."""
    own = run.config.sampling
    tasks = [task for task in run.store.tasks() if task.split is Split.HELD_OUT]
    requests = ask(tasks, samples, own.held_out_samples if temperature == own.temperature else 0)
    tempered = run.measuring(temperature)
    deploy(policy, requests, Sampled(tempered), tempered, f"held-out tasks at temperature {temperature:g}")
