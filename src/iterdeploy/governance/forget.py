"""Forgets a user: their traces and judgements go, and what was trained on them is named, or made anew without them.

What is left of a trace is its id, its generation and its verdict, so that it is known that it was there. A generation
that learnt from it is tainted. With a rebuild its weights are removed, the latest generation that is clean serves, and
the next one is made from what is left.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from iterdeploy.record.files import remove
from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.standing import Standing, standing
from iterdeploy.record.traffic import Traffic
from iterdeploy.training.trainer import read_policy


@dataclass(frozen=True, slots=True)
class Forgotten:
    traces: int
    judgements: int
    generations: tuple[int, ...]
    """Those that learnt from the user's traces, directly or from a generation that did."""


def forget(run_dir: RunDir, user: str, who: str) -> Forgotten:
    """Deletes what the store has of the user. The audit log names them by a hash alone."""
    traffic = Traffic(run_dir.store)
    traces = [origin.trace_id for origin in traffic.of_user(user)]
    tainted = tainted_generations(run_dir, traces)
    with run_dir.store.together():
        judgements = traffic.forget(user, traces)
        traffic.act(
            who, "forget", user=sha256(user.encode()).hexdigest()[:16], traces=len(traces), generations=list(tainted)
        )
    traffic.shrink()
    return Forgotten(len(traces), judgements, tainted)


def tainted_generations(run_dir: RunDir, traces: Sequence[str]) -> tuple[int, ...]:
    """Generations whose pool has one of the traces, and those trained from such a generation's weights."""
    gone, found, policies = set(traces), [], set[str]()
    generation = 1
    while run_dir.policy(generation).exists():
        pool = run_dir.pool(generation - 1)
        policy = read_policy(run_dir.policy(generation))
        if (pool and gone & pool.weights.keys()) or policy.parent_id in policies:
            found.append(generation)
            policies.add(policy.id)
        generation += 1
    return tuple(found)


def withdraw(run_dir: RunDir, generations: Sequence[int], who: str) -> int:
    """Takes the generations out of service, removes their weights, and drops a pool that was curated but is not used
    yet. Returns the generation that serves now."""
    traffic = Traffic(run_dir.store)
    acts = [act for _, act in traffic.acts()]
    now: Standing = standing(acts)
    served = [int(str(act.details["generation"])) for act in acts if act.act in ("promote", "rollback")]
    clean = [g for g in [0, *served] if g not in generations and g not in now.withdrawn]
    with run_dir.store.together():
        for generation in generations:
            traffic.act(who, "withdraw", generation=generation)
        if now.promoted in generations:
            traffic.act(who, "rollback", generation=clean[-1], reason="what served had learnt from a forgotten user")
    for generation in generations:
        remove(run_dir.policy(generation))
    last = max([0, *now.decided])
    unused = run_dir.generation(last)
    if last + 1 not in now.decided:
        remove(unused.path / "curated.json")
        shutil.rmtree(unused.path / "unfinished-policy", ignore_errors=True)
    return standing(act for _, act in traffic.acts()).promoted
