"""Curation policies by name, as a configuration says them: "valid", "at_most(2)", "prefer(detour, 3)", "mine.py:best".

A new one of the package's own is a function in `policies` and one line in `POLICIES`, or in `MAKERS` if it has
arguments.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from iterdeploy import registry
from iterdeploy.curation import people, policies
from iterdeploy.curation.features import FEATURES, Feature
from iterdeploy.curation.policies import CurationPolicy
from iterdeploy.sections import ConfigError, UserError
from iterdeploy.types import Trace, WeightedTrace

KEY = "curation.policies"
GROUP, FEATURE_GROUP = "iterdeploy.policies", "iterdeploy.features"
"""Entry points."""
BREVITY = dict.fromkeys(("plan_length", "reasoning_tokens", "answer_tokens"), -1.0)
"""What choosing the best answer of a planning task asks for."""

POLICIES: Mapping[str, CurationPolicy] = {
    "valid": CurationPolicy("valid", policies.valid, valid_only=True),
    "all": CurationPolicy("all", policies.everything),
    "best_per_task": CurationPolicy("best_per_task", partial(policies.at_most, 1), BREVITY, per_task=1),
    "published": CurationPolicy("published", people.published),
    "newest_generation": CurationPolicy("newest_generation", policies.newest_generation, generations=1),
}


class CurationError(UserError):
    """Somebody's policy or feature does not do what one does."""


def _at_most(name: str, count: str) -> CurationPolicy:
    number = int(_number(str(int(count)), 1, 1_000_000))
    return CurationPolicy(name, partial(policies.at_most, number), BREVITY, per_task=number)


def _sample(name: str, fraction: str) -> CurationPolicy:
    return CurationPolicy(name, partial(policies.sample, _number(fraction, 0, 1)))


def _noisy(name: str, rate: str) -> CurationPolicy:
    return CurationPolicy(name, partial(policies.noisy, _number(rate, 0, 1)))


def _prefer(name: str, feature: str, strength: str) -> CurationPolicy:
    amount = _number(strength, -100, 100)
    return CurationPolicy(
        name,
        partial(policies.prefer, feature, find_feature(feature, KEY), amount),
        {feature.rpartition(":")[2]: amount},
    )


def _min_curators(name: str, count: str) -> CurationPolicy:
    return CurationPolicy(name, partial(people.min_curators, int(_number(str(int(count)), 1, 1_000_000))))


def _at_most_per_user(name: str, share: str) -> CurationPolicy:
    return CurationPolicy(name, partial(people.at_most_per_user, _number(share, 0, 1)))


def _trusted(name: str, *users: str) -> CurationPolicy:
    if not all(users):
        raise ValueError
    return CurationPolicy(name, partial(people.trusted, frozenset(users)))


MAKERS: Mapping[str, Callable[..., CurationPolicy]] = {
    "at_most": _at_most,
    "sample": _sample,
    "noisy": _noisy,
    "prefer": _prefer,
    "min_curators": _min_curators,
    "at_most_per_user": _at_most_per_user,
    "trusted": _trusted,
}
"""Name -> function from the whole name and the arguments, as text, to the policy; TypeError or ValueError if they do
not fit."""

FORMS = (
    "at_most(k) with k = 1, 2, ...",
    "sample(fraction) and noisy(rate) with a number from 0 to 1",
    "min_curators(k), at_most_per_user(share) and trusted(user, ...) for what people publish",
    f"prefer(feature, strength) with a feature of {', '.join(FEATURES)}, or your own",
)


def find_policy(text: str) -> CurationPolicy:
    """The policy that a configuration names. ConfigError if there is none, or if its arguments do not fit."""
    match = re.fullmatch(r"\s*([^()]+?)\s*(?:\(([^()]*)\))?\s*", text)
    if match is None:
        raise _unknown(text)
    name, arguments = match[1], None if match[2] is None else [part.strip() for part in match[2].split(",")]
    known: Mapping[str, object] = POLICIES if arguments is None else MAKERS
    if ":" not in name and name not in registry.names(known, GROUP):
        raise _unknown(text)
    found = registry.find(name, known, GROUP, KEY)
    if isinstance(found, CurationPolicy):
        return found
    if arguments is None:
        return own_policy(text, found)
    try:
        return found(text, *arguments) if name in MAKERS else own_policy(text, found(*map(_value, arguments)))
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise (_unknown(text) if name in MAKERS else ConfigError(f"{KEY}: {text}: {error}")) from None


def find_policies(names: Sequence[str]) -> list[CurationPolicy]:
    if not names:
        raise ConfigError(f'{KEY}: name at least one policy, for example ["all"]')
    return [find_policy(name) for name in names]


def wanted(found: Iterable[CurationPolicy]) -> dict[str, float]:
    """Feature -> how much more or less of it the policies ask for."""
    return {feature: much for policy in found for feature, much in policy.asks_for.items() if much}


def find_feature(name: str, key: str) -> Feature:
    """The feature of that name: one of the package's, or somebody's own."""
    if ":" not in name and name not in registry.names(FEATURES, FEATURE_GROUP):
        raise ValueError(name)
    value = registry.find(name, FEATURES, FEATURE_GROUP, key)
    return value if name in FEATURES else own_feature(name, value)


def own_policy(name: str, keep: Any) -> CurationPolicy:
    """Somebody's function as a policy: what it returns is checked, and what it raises is blamed on it."""
    if not callable(keep):
        raise ConfigError(f"{KEY}: {name} is {keep!r:.100}, not a function of weighted traces")

    def checked(traces: Sequence[WeightedTrace]) -> list[WeightedTrace]:
        try:
            kept = list(keep(traces))
        except Exception as error:
            raise CurationError(f"{KEY}: {name} failed: {registry.described(error)}") from error
        given = {weighted.trace.id for weighted in traces}
        for weighted in kept:
            if not isinstance(weighted, WeightedTrace) or weighted.trace.id not in given:
                raise CurationError(
                    f"{KEY}: {name} returned {weighted!r:.200}: a policy must return some of the weighted traces "
                    "that it was given"
                )
            if not math.isfinite(weighted.weight):
                raise CurationError(f"{KEY}: {name} gave the weight {weighted.weight}: weights must be finite numbers")
        return kept

    asks_for = {str(feature): float(sign) for feature, sign in getattr(keep, "asks_for", {}).items()}
    return CurationPolicy(name, checked, asks_for, getattr(keep, "per_task", None), getattr(keep, "valid_only", False))


def own_feature(name: str, value: Any) -> Feature:
    """Somebody's function as a feature: a finite number of every trace, or an error that names it."""
    if not callable(value):
        raise ConfigError(f"{KEY}: {name} is {value!r:.100}, not a function of a trace")

    def checked(trace: Trace) -> float:
        try:
            number = float(value(trace))
        except Exception as error:
            raise CurationError(f"the feature {name} failed: {registry.described(error)}") from error
        if not math.isfinite(number):
            raise CurationError(f"the feature {name} is {number} for trace {trace.id}: features must be finite numbers")
        return number

    return checked


def _unknown(text: str) -> ConfigError:
    known = ", ".join([*POLICIES, *FORMS])
    return ConfigError(f"{KEY}: {text!r} is not a curation policy; there are {known}; your own is {registry.DOORS}")


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _number(text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        raise ValueError
    return value
