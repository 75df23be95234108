"""Who asks: what their key allows, on what terms they ask, and how much they may ask."""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from iterdeploy.config_deployment import DeploymentConfig
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.record.standing import SCOPES, Key, Standing, digest

ANYBODY = Key("", SCOPES, "", None, None)
"""Who asks a deployment without keys, which only this machine can reach."""
TRAIN, RETENTION, USER = "x-iterdeploy-train", "x-iterdeploy-retention", "x-iterdeploy-user"
LONGEST = 200
"""Characters of a user's name."""


@dataclass(frozen=True, slots=True)
class Caller:
    key: Key
    user: str
    train: bool
    keep_until: str
    """Day on which an answer is deleted; empty: there is none."""


def identify(headers: Mapping[str, str], standing: Standing, scope: str, needed: bool) -> Key:
    """The key that a request shows. Refusal if it is none, or does not allow what `scope` says; empty: any key will do.

    `needed`: whether there must be one.
    """
    shown = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ").strip()
    key = standing.keys.get(digest(shown)) if shown else None
    if key is None and not needed and not standing.keys:
        return ANYBODY
    if key is None:
        raise Refusal(401, "invalid_key", "a valid key is needed: Authorization: Bearer KEY", {
            "WWW-Authenticate": "Bearer"
        })  # fmt: skip
    if scope and scope not in key.scopes:
        raise Refusal(403, "not_allowed", f"this key may {' and '.join(key.scopes)}, not {scope}")
    return key


def caller(key: Key, headers: Mapping[str, str], user: str | None, config: DeploymentConfig) -> Caller:
    """On what terms is asked: the request says, else the key, else the configuration."""
    name = key.user or headers.get(USER) or user or ""
    if len(name) > LONGEST or not name.isprintable():
        raise Refusal(400, "invalid_request", f"a user's name has up to {LONGEST} printable characters")
    match headers.get(TRAIN):
        case "yes" | "no" as said:
            train = said == "yes"
        case None:
            train = config.train if key.train is None else key.train
        case _:
            raise Refusal(400, "invalid_request", f"{TRAIN} is yes or no")
    days = _days(headers.get(RETENTION), config.retention_days if key.retention_days is None else key.retention_days)
    until = (datetime.now(UTC) + timedelta(days=days)).date().isoformat() if days else ""
    return Caller(key, name, train, until)


def _days(said: str | None, otherwise: int) -> int:
    if said is None:
        return otherwise
    if not (re.fullmatch("[0-9]{1,5}", said) and 0 < int(said) <= 36_500):
        raise Refusal(400, "invalid_request", f"{RETENTION} is a whole number of days from 1 to 36500")
    return int(said)


class Rates:
    """Buckets of requests that fill up again with time: one for each key."""

    MOST = 10_000

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Refusal, which says when to come back, if the bucket is empty."""
        now = time.monotonic()
        left, since = self._buckets.pop(name, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        self._buckets[name] = (max(0.0, left - 1), now)
        while len(self._buckets) > self.MOST:
            self._buckets.popitem(last=False)
        if left < 1:
            seconds = (1 - left) * 60 / self._per_minute
            raise Refusal(429, "rate_limit_exceeded", f"more than {self._per_minute} requests a minute", {
                "Retry-After": str(max(1, round(seconds + 0.5)))
            })  # fmt: skip
