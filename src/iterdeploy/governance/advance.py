"""Turns the generation of a deployment: what the loop does in a laboratory, with the traces that people asked for.

The open generation is closed, its traces are curated, and the next generation is trained and measured on held-out tasks
while the old one serves on. It is promoted only if the gate lets it through; else it stays as a candidate, with the
reason. Each output is made once, so an advance that was interrupted goes on when it is called again.
"""

from dataclasses import replace

from iterdeploy.deployment.deploy import ask, deploy
from iterdeploy.deployment.sampled import Sampled
from iterdeploy.governance.gate import Gate, gate
from iterdeploy.record.standing import Standing, standing
from iterdeploy.record.traffic import Traffic, today
from iterdeploy.steps.curate import curate
from iterdeploy.steps.fine_tune import fine_tune
from iterdeploy.steps.measure import measure
from iterdeploy.steps.run import Run
from iterdeploy.steps.stops import check_pool
from iterdeploy.types import Policy, Split, Task

GATE = "gate.json"


def advance(run: Run, who: str) -> Gate:
    """Makes the next generation, and decides whether it serves. Raises `Stopped` where there is nothing to train on."""
    run.settle_threads()
    traffic = Traffic(run.store)
    traffic.prepare()
    traffic.expire(today(), who)
    now = standing_of(run)
    generation = open_generation(now)
    run.clock.generation = generation
    with run.store.together():
        traffic.act(who, "advance", generation=generation, feedback=traffic.last_feedback())

    promoted = run.policy(now.promoted)
    _measured(promoted, run)
    # A generation that the gate held back, or whose weights are gone, still has a number, and traces up to it.
    closed = replace(promoted, generation=generation)
    pool = curate(closed, run)
    check_pool(pool, closed, run)
    policy = fine_tune(closed, pool, run)
    _measured(policy, run)
    found = run.stage(generation).once(GATE, lambda: gate(now.promoted, policy, run), Gate)
    _decide(found, run, who)
    run.store.add_seconds(run.clock.take())
    return found


def open_generation(now: Standing) -> int:
    """The one whose traces wait for curation: of the next generation it is not yet decided whether it serves."""
    generation = 0
    while generation + 1 in now.decided:
        generation += 1
    return generation


def standing_of(run: Run) -> Standing:
    return standing(act for _, act in Traffic(run.store).acts())


def held_out_traffic(run: Run) -> list[Task]:
    """Tasks that users brought, whose answers never train and can be judged."""
    own = {task.id for task in run.tasks.held_out}
    return [task for task in run.store.tasks() if task.split is Split.HELD_OUT and task.payload and task.id not in own]


def _measured(policy: Policy, run: Run) -> None:
    """What the policy can do, from answers of its own to held-out tasks and to held-out traffic.

    One that never comes to an end is not stopped here, as it would be in a laboratory: the gate keeps it back."""
    requests = ask(run.tasks.held_out, run.config.sampling.held_out_samples)
    requests += ask(held_out_traffic(run), 1)
    deploy(policy, requests, Sampled(run), run)
    measure(policy, run)


def _decide(found: Gate, run: Run, who: str) -> None:
    """Records what the gate said."""
    traffic = Traffic(run.store)
    with run.store.together():
        if found.passed:
            traffic.act(who, "promote", generation=found.generation, reason="the gate let it through")
        else:
            traffic.act(who, "candidate", generation=found.generation, reason="; ".join(found.reasons))
