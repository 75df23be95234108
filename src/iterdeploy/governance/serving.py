"""Which generation serves: promoted, taken back, or tried on a share of the requests.

A gateway that runs sees it at its next request.
"""

from pathlib import Path

from iterdeploy.record.run_dir import RunDir
from iterdeploy.record.standing import Standing, standing
from iterdeploy.record.store import TraceStore
from iterdeploy.record.traffic import Traffic
from iterdeploy.sections import UserError


class Decisions:
    """Acts on a deployment whose gateway may be running. A context manager."""

    def __init__(self, path: Path, who: str) -> None:
        self._path = path
        self._who = who
        self.store = TraceStore(path / "traces.sqlite")
        self.traffic = Traffic(self.store)
        if not self.traffic.there:
            self.store.close()
            raise UserError(f"{path}: this is a run, not a deployment; `iterdeploy serve` makes one")

    def __enter__(self) -> "Decisions":
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    @property
    def standing(self) -> Standing:
        return standing(act for _, act in self.traffic.acts())

    def act(self, act: str, **details: object) -> None:
        with self.store.together():
            self.traffic.act(self._who, act, **details)  # type: ignore[arg-type]

    def promote(self, generation: int, reason: str) -> None:
        """UserError for a generation that cannot serve."""
        self._check(generation)
        self.act("promote", generation=generation, reason=reason)

    def rollback(self, generation: int | None) -> int:
        """To a generation, or to the one that served before. Returns it."""
        now = self.standing
        to = now.before if generation is None else generation
        if to is None:
            raise UserError(f"{self._path.name}: generation {now.promoted} is the first that serves; --to says which")
        self._check(to)
        self.act("rollback", generation=to, reason=f"instead of generation {now.promoted}")
        return to

    def canary(self, generation: int, share: float) -> None:
        """Lets a generation answer a share of the requests that ask for the deployment by its name; 0 ends it."""
        self._check(generation)
        self.act("canary", generation=generation, share=share)

    def _check(self, generation: int) -> None:
        if generation in self.standing.withdrawn:
            raise UserError(f"generation {generation}: its weights are gone, since it had learnt from a forgotten user")
        if generation and not RunDir.reading(self._path, self.store).policy(generation).exists():
            raise UserError(f"generation {generation}: {self._path.name} has no such generation")
