"""How often something is so, with the Monte Carlo error of that."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from iterdeploy.metrics.results import mean_interval


class Ends(Protocol):
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def covers(ends: Ends, truth: float) -> bool:
    return (
        (-float("inf") if ends.low is None else ends.low) <= truth <= (float("inf") if ends.high is None else ends.high)
    )


@dataclass
class Rates:
    """Row -> how often it was so, of how many. The Monte Carlo error is Wilson's 95% interval."""

    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    targets: dict[str, str] = field(default_factory=dict)

    def add(self, row: str, so: bool, target: str = "") -> None:
        self.counts[row][0] += bool(so)
        self.counts[row][1] += 1
        self.targets[row] = target

    def table(self) -> str:
        lines = ["| | target | measured [Monte Carlo error] | of |", "|---|---|---|---|"]
        for row, (so, total) in self.counts.items():
            error = mean_interval([1.0] * so + [0.0] * (total - so), total)
            lines.append(
                f"| {row} | {self.targets[row]} | {so / total:.1%} [{error.low:.1%}, {error.high:.1%}] | {total} |"
            )
        return "\n".join(lines)
