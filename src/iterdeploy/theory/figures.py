"""Numbers with their errors, as text."""

from iterdeploy.metrics.records import Estimate
from iterdeploy.tables import NOTHING
from iterdeploy.theory.records import Comparison


def number(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def error(value: float | None) -> str:
    return "" if value is None else f" ± {value:.2f}"


def estimate(one: Estimate) -> str:
    return f"{one.value:.1%}" + ("" if one.error is None else f" ± {one.error:.1%}")


def cosine(one: Comparison) -> str:
    return _pm(one.cosine, one.cosine_error)


def clean(one: Comparison) -> str:
    return _pm(one.clean_cosine, one.clean_cosine_error)


def norm(one: Comparison) -> str:
    return _pm(one.norm_ratio, one.norm_ratio_error)


def _pm(value: float | None, error: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f} ± {error:.2f}"
