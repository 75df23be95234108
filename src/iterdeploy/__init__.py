"""Run, measure and explain iterative deployment: deploy, judge, curate, fine-tune, repeat.

    import iterdeploy

    run = iterdeploy.run("quickstart", {"training.epochs": 3}, name="longer")
    for trace in run.traces(generation=2, status="invalid", limit=5):
        print(trace.text, trace.verdict.reason)
    run.to_pandas()

What a task set, a curation policy or a feature of your own needs is imported from here as well. Importing this package
takes no time: everything is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iterdeploy.api.compare import Comparison, compare
    from iterdeploy.api.look import Generation, Run, Traces
    from iterdeploy.api.start import extend, resume, run
    from iterdeploy.config import RunConfig
    from iterdeploy.record.outputs import State
    from iterdeploy.sections import UserError
    from iterdeploy.types import (
        Completion,
        Demonstration,
        Observation,
        Policy,
        Split,
        Status,
        Task,
        Trace,
        Verdict,
        WeightedTrace,
    )

__version__ = "0.1.0"

__all__ = [
    "Comparison",
    "Completion",
    "Demonstration",
    "Generation",
    "Observation",
    "Policy",
    "Run",
    "RunConfig",
    "Split",
    "State",
    "Status",
    "Task",
    "Trace",
    "Traces",
    "UserError",
    "Verdict",
    "WeightedTrace",
    "__version__",
    "compare",
    "extend",
    "resume",
    "run",
]

_LATER = {
    "Comparison": "api.compare",
    "Generation": "api.look",
    "Run": "api.look",
    "RunConfig": "config",
    "State": "record.outputs",
    "Traces": "api.look",
    "UserError": "config",
    "compare": "api.compare",
    "extend": "api.start",
    "resume": "api.start",
    "run": "api.start",
    **dict.fromkeys(
        (
            "Completion",
            "Demonstration",
            "Observation",
            "Policy",
            "Split",
            "Status",
            "Task",
            "Trace",
            "Verdict",
            "WeightedTrace",
        ),
        "types",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__
