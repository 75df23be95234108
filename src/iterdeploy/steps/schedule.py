"""The tasks that users bring to a generation: always the same, fresh ones, or fresh ones at the edge of what is solved.

With `tasks.schedule = "frontier"` the sizes of a generation's tasks follow those of the generation before. Of the sizes
that `tasks.sizes` names, the first generation gets the smallest three. Later ones get the frontier, which is the
largest size of which the generation before solved a tenth, with its neighbours below and above; so sizes grow by one
step at a time. Only what was deployed counts: held-out tasks measure and choose nothing. It all follows from the stored
answers, so a resumed run asks for the same tasks.

That easy-to-hard beats a fixed mixture under conditions is shown in arXiv 2602.10014.
"""

from collections.abc import Iterable, Mapping, Sequence

from iterdeploy.metrics.frontier import by_domain
from iterdeploy.metrics.results import TaskResult
from iterdeploy.sections import parse_sizes
from iterdeploy.steps.run import Run
from iterdeploy.tasks import Graded
from iterdeploy.types import Split, Task

WIDTH = 3
"""Sizes that a generation is asked for."""


def deployed(generation: int, run: Run) -> Sequence[Task]:
    """The tasks that users bring to this generation."""
    tasks, config = run.tasks, run.config.tasks
    if config.schedule == "fixed" or not isinstance(tasks, Graded):
        return tasks.deployed(generation)
    sizes = {domain: sorted(set(parse_sizes(config.sizes_of(domain)))) for domain in config.domains}
    before = [row for row in run.store.results(generation) if row.generation == generation - 1]
    return tasks.deployed_at(generation, edge(sizes, before))


def edge(sizes: Mapping[str, Sequence[int]], before: Iterable[TaskResult]) -> dict[str, Sequence[int]]:
    """Domain -> the sizes to ask for, given all that there are and how the tasks of the generation before went.

    >>> edge({"ferry": [2, 3, 4, 5, 6]}, [])
    {'ferry': [2, 3, 4]}
    """
    solved = by_domain(row for row in before if row.split == Split.DEPLOYED)
    return {name: _around(all_, solved[name].size if name in solved else None) for name, all_ in sizes.items()}


def _around(sizes: Sequence[int], size: int | None) -> Sequence[int]:
    at = sizes.index(size) if size in sizes else 0
    first = max(0, min(at - 1, len(sizes) - WIDTH))
    return sizes[first : first + WIDTH]
