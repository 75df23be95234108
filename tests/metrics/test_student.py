"""Student's t against scipy's."""

import pytest

from iterdeploy.metrics.student import quantile, tail


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 8, 30, 199])
def test_tails_and_quantiles_are_those_of_scipy(freedom: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    for t in (0.0, 0.3, 1.0, 2.0, -4.3, 12.7):
        assert tail(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-13)
    for confidence in (0.5, 0.9, 0.95, 0.999):
        assert quantile(confidence, freedom) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-9)


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.7062), (4, 2.7764), (10, 2.2281), (20, 2.0860)])
def test_quantiles_are_those_of_the_printed_tables(freedom: int, expected: float) -> None:
    assert round(quantile(0.95, freedom), 4) == expected
