"""Records as pandas DataFrames, one row for each."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from iterdeploy.sections import UserError

if TYPE_CHECKING:
    import pandas


class MissingLibrary(UserError):
    """Something needs a library that is not installed."""


def frame(rows: Iterable[Mapping[str, Any]]) -> "pandas.DataFrame":
    """MissingLibrary without pandas, which iterdeploy does not need for anything else."""
    try:
        import pandas
    except ImportError:
        raise MissingLibrary("to_pandas needs pandas: pip install pandas") from None
    return pandas.DataFrame(list(rows))
