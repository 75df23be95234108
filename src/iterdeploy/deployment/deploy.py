"""Brings in and stores the traces that a generation still owes. A key that is in the store is never asked for again.

Batches are cut from the whole list of requests, ordered by prompt length, before looking at what the store holds, and
each is written in one transaction as soon as it is whole. So a resumed run draws the same batches with the same seeds
as one that was never interrupted.
"""

import logging
from collections.abc import Sequence

from iterdeploy.deployment import Deployment, Request
from iterdeploy.deployment.forecast import Forecast
from iterdeploy.steps.clock import Activity
from iterdeploy.steps.run import Run
from iterdeploy.steps.stops import check_errors
from iterdeploy.types import Policy, Status, Task

log = logging.getLogger(__name__)


def ask(tasks: Sequence[Task], samples: int, first: int = 0) -> list[Request]:
    """Requests for the answers to each task with the sample indices from `first` to `samples` - 1."""
    return [Request(task, index) for task in tasks for index in range(first, samples)]


def deploy(
    policy: Policy, requests: Sequence[Request], deployment: Deployment, run: Run, title: str = "answers"
) -> None:
    """Writes a trace for every request that has none. The model is loaded only if there is one."""
    done = run.shelf.keys(policy.generation)
    owed = [
        still
        for batch in batches(requests, run.config.sampling.batch_size)
        if (
            still := [
                wanted for wanted in batch if (wanted.task.id, policy.generation, wanted.sample_index) not in done
            ]
        )
    ]
    if not owed:
        return
    total, reached = len(requests), len(requests) - sum(map(len, owed))
    forecast = Forecast(run, policy.generation)
    with run.display.bar(f"generation {policy.generation}: {title}", "answers") as progress:
        progress(reached, total)
        for batch in deployment.traces(policy, owed):
            errors = [trace.verdict.reason for trace in batch.traces if trace.verdict.status is Status.ERROR]
            check_errors(errors, total, policy, run)
            with run.clock.activity(Activity.OTHER):
                tasks = {request.task.id: request.task for request in batch.requests}
                run.shelf.add(tasks, batch.traces, run.clock.take())
            run.folder.copy(if_due=True)
            reached += len(batch.traces)
            progress(reached, total)
            if not run.measures and (said := forecast.hear(batch.traces, total, total - reached)):
                log.info(said)


def batches(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """The requests in batches of like prompt length."""
    ordered = sorted(requests, key=lambda wanted: (len(wanted.task.prompt), wanted.task.id, wanted.sample_index))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]
