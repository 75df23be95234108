"""Answers of a finished run, curated anew by known rules, and how often something is so."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.rates import Rates, covers
from iterdeploy.audit import observe_run
from iterdeploy.audit.decisions import decisions
from iterdeploy.audit.findings import CHANCE, corrected, of_reward
from iterdeploy.audit.observe import Observations
from iterdeploy.audit.questions import PUBLISHED, published
from iterdeploy.audit.records import Reward
from iterdeploy.audit.rewards import reward
from iterdeploy.record.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

COLUMNS = ("values", "task", "domain", "size", "generation", "deployed", "valid")


@dataclass(frozen=True)
class Answers:
    seen: Observations

    @classmethod
    def read(cls, folder: Path) -> "Answers":
        run_dir = RunDir.read(folder)
        seen = observe_run(run_dir.store.traces(), ["valid"], {})
        run_dir.close()
        return cls(seen)

    @property
    def generations(self) -> int:
        """That were curated."""
        return int(self.seen.generation.max())

    def feature(self, name: str) -> "Array":
        """0 where the answer is not valid, (R,)."""
        import numpy as np

        values: Array = np.nan_to_num(self.seen.values[:, self.seen.names.index(name)])
        return values

    def prefer(self, tastes: Mapping[str, float]) -> "Array":
        """Log-odds as of `prefer(feature, strength)`, for each of them, added up, (R,)."""
        import numpy as np

        out: Array = sum(
            (strength * (self.feature(name) - 0.5) for name, strength in tastes.items()), np.zeros(len(self.seen.ids))
        )
        return out

    def kept(self, chance: "Array", *seed: int) -> "NDArray[np.bool_]":
        """(G, R): each valid answer kept once and for all with its chance."""
        import numpy as np

        kept = (np.random.default_rng(seed).random(len(chance)) < chance) & self.seen.valid & self.seen.deployed
        return np.stack([kept & (self.seen.generation <= last) for last in range(self.generations)])

    def some(self, count: int, *seed: int) -> "Answers":
        """About so many valid answers that are decided on: those to tasks drawn at random."""
        import numpy as np

        seen = self.seen
        asked = seen.valid & seen.deployed & (seen.generation < self.generations)
        tasks = np.random.default_rng(seed).permutation(np.unique(seen.task[asked]))
        answers = np.cumsum([np.bincount(seen.task[asked], minlength=int(tasks.max()) + 1)[task] for task in tasks])
        rows = np.isin(seen.task, tasks[: int(np.searchsorted(answers, count)) + 1])
        columns = {name: getattr(seen, name)[rows] for name in COLUMNS}
        return Answers(replace(seen, ids=tuple(np.array(seen.ids)[rows].tolist()), **columns))


def logistic(log_odds: "Array") -> "Array":
    import numpy as np

    out: Array = 1 / (1 + np.exp(-log_odds))
    return out


def judged(answers: Answers, kept: "NDArray[np.bool_]", *, by_generation: bool = True) -> Reward:
    """What the audit says of which answers are published, with p-values corrected for the number of its tests."""
    first = decisions(answers.seen, kept, None)
    question = published(answers.seen, first)
    return corrected([reward(answers.seen, question, decides=True, by_generation=by_generation)])[0]


def named(of: Reward) -> set[str]:
    """Every feature in any finding about a reward."""
    return {name for one in of_reward(of) for name in one.features}


__all__ = ["CHANCE", "PUBLISHED", "Answers", "Rates", "covers", "judged", "logistic", "named"]
