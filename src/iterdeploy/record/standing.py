"""What holds for a live deployment now, as it follows from its acts: who serves, and which keys are valid."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from iterdeploy.record.traffic import Act


def digest(key: str) -> str:
    """The digest that is stored in place of a key."""
    return sha256(key.encode()).hexdigest()


SCOPES = ("ask", "judge", "administer")


@dataclass(frozen=True, slots=True)
class Key:
    """What may be done by whoever shows it, and on what terms."""

    name: str
    scopes: tuple[str, ...]
    user: str
    """The only user it stands for; empty: the application says who asks."""
    train: bool | None
    """Whether its users agree that answers train; None: as the configuration says."""
    retention_days: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    promoted: int = 0
    """The generation that serves."""
    before: int | None = None
    """The one that served before it."""
    canary: int | None = None
    """A generation that answers a share of the requests."""
    share: float = 0.0
    candidates: Mapping[int, str] = field(default_factory=dict)
    """Generation that the gate did not let through -> why."""
    decided: frozenset[int] = frozenset()
    """Generations of which it was decided whether they serve."""
    withdrawn: frozenset[int] = frozenset()
    """Generations whose weights are gone, since they had learnt from a user who is forgotten."""
    keys: Mapping[str, Key] = field(default_factory=dict)
    """SHA-256 of a key -> what it may do."""


def standing(acts: Iterable[Act], start: Standing = Standing()) -> Standing:
    now = start
    for act in acts:
        now = _after(now, act.act, dict(act.details))
    return now


def _after(now: Standing, act: str, details: dict[str, Any]) -> Standing:
    match act:
        case "promote" | "rollback":
            generation = int(details["generation"])
            return replace(
                now,
                promoted=generation,
                before=now.promoted,
                canary=None if now.canary == generation or act == "rollback" else now.canary,
                candidates={g: why for g, why in now.candidates.items() if g != generation},
                decided=now.decided | {generation},
            )
        case "candidate":
            generation = int(details["generation"])
            candidates = {**now.candidates, generation: str(details["reason"])}
            return replace(now, candidates=candidates, decided=now.decided | {generation})
        case "canary":
            share = float(details["share"])
            return replace(now, canary=int(details["generation"]) if share else None, share=share)
        case "withdraw":
            return replace(now, withdrawn=now.withdrawn | {int(details["generation"])})
        case "key":
            made = Key(
                str(details["name"]),
                tuple(details["scopes"]),
                str(details["user"]),
                details["train"],
                details["retention_days"],
            )
            return replace(now, keys={**now.keys, str(details["digest"]): made})
        case "revoke":
            return replace(now, keys={d: key for d, key in now.keys.items() if key.name != details["name"]})
    return now
