"""Run, measure and explain iterative deployment: deploy, judge, curate, fine-tune, repeat.

What a task set, a curation policy or a feature of your own needs is imported from here.
"""

from iterdeploy.types import Completion, Policy, Split, Status, Task, Trace, Verdict, WeightedTrace

__version__ = "0.1.0"

__all__ = ["Completion", "Policy", "Split", "Status", "Task", "Trace", "Verdict", "WeightedTrace", "__version__"]
