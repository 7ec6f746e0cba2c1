"""A column of prices that is a bar late, or early, is found by the range of the bars."""

import polars as pl
import pytest

from tests.features.validation.make import STOPPED, check_bars, make_bars


def moved(bars: pl.DataFrame, column: str, step: int) -> pl.DataFrame:
    """Return the bars with a column of US.T0 that many bars later."""
    late = pl.col(column).shift(step).over("instrument_id")
    of_it = (pl.col("instrument_id") == "US.T0") & late.is_not_null()
    return bars.with_columns(pl.when(of_it).then(late).otherwise(column).alias(column))


@pytest.mark.parametrize("column", ["open", "close"])
@pytest.mark.parametrize(("step", "whose"), [(1, "before"), (-1, "after")])
def test_prices_of_another_bar_are_stopped(column: str, step: int, whose: str) -> None:
    """Each alone strays by less than what is allowed; of the next bar they would look ahead."""
    bars = moved(make_bars(), column, step)
    found = check_bars(bars)
    shifted = found.findings.filter(STOPPED & (pl.col("rule") == "shifted_column"))
    assert set(shifted["source_row"]) == set(range(120))
    assert f" of its {column}s lie outside of high and low, " in shifted["reason"][0]
    assert shifted["reason"][0].endswith(f"of the bar {whose}: a column that is out of step")
    assert "US.T0" in found.withheld


def test_a_thin_name_whose_closes_come_from_elsewhere_is_not_out_of_step() -> None:
    """Moved or not, as many of its closes lie outside of the range of its trading."""
    bars = make_bars()
    middle = (pl.col("high") + pl.col("low")) / 2
    side = pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.007).otherwise(0.993)
    thin = pl.when(pl.col("instrument_id") == "US.T0").then(middle * side).otherwise("close")
    narrow = bars.with_columns(high=middle * 1.002, low=middle * 0.998, open=middle, close=thin)
    assert check_bars(narrow).findings.filter(rule="shifted_column").is_empty()
    assert not check_bars(narrow).findings.filter(rule="ohlc_order").is_empty()
