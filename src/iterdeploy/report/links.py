"""Addresses inside the page: a number leads to the traces that it counts."""

from urllib.parse import urlencode


def traces_where(**wanted: object) -> str:
    """The explorer's state that shows the traces with these properties; those that are None do not matter.

    >>> traces_where(generation=2, verdict="invalid", size=None)
    '#traces?generation=2&verdict=invalid'
    """
    return f"#traces?{urlencode({key: value for key, value in wanted.items() if value is not None})}"
