"""A split on record that the raw prices contradict is put aside: it would be booked."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from features.schemas import CORPORATE_ACTIONS
from features.validation import CheckContext, check
from tests.features.validation.make import make_bars

AT = 60  # the first bar at the new scale


def split_bars(ratio: float, *, adjustment: str = "raw") -> pl.DataFrame:
    bars = make_bars(instruments=1)
    scale = pl.when(pl.int_range(pl.len()) >= AT).then(1 / ratio).otherwise(1.0)
    prices = pl.col("open", "high", "low", "close")
    return bars.with_columns(prices * scale, adjustment=pl.lit(adjustment))


def found(
    bars: pl.DataFrame, ratio: float, *, bar: int = AT, after: timedelta | None = None
) -> list[str]:
    """Return the kinds that are found of a split that takes effect with the open of a bar."""
    times = bars["event_time"].unique().sort()
    ex: datetime = (
        times[bar] - timedelta(hours=6, minutes=30) if after is None else times[-1] + after
    )
    split = CORPORATE_ACTIONS.conform(
        pl.DataFrame({"instrument_id": "US.T0", "kind": "split", "ratio": ratio, "event_time": ex,
                      "knowledge_time": ex - timedelta(days=9), "source": "test"})
    )  # fmt: skip
    context = CheckContext(as_of=times[-1] + timedelta(days=400), reference=bars)
    return check("corporate_actions", split, context=context).findings["kind"].to_list()


@pytest.mark.parametrize("ratio", [4.0, 1.5, 0.1])
def test_a_split_that_the_price_shows_is_sound(ratio: float) -> None:
    assert found(split_bars(ratio), ratio) == []


@pytest.mark.parametrize(
    ("told", "true", "bar"), [(0.25, 4, AT), (2.0, 4, AT), (4.0, 4, AT + 3), (4.0, 1, AT)]
)
def test_a_split_that_no_price_shows_is_stopped(told: float, true: float, bar: int) -> None:
    """Turned over, of another ratio, on another day, or never."""
    assert found(split_bars(true), told, bar=bar) == ["phantom_split"]


def test_what_no_raw_price_can_contradict_stays() -> None:
    adjusted = split_bars(1, adjustment="split")
    assert found(adjusted, 4.0) == []
    assert found(split_bars(1), 4.0, after=timedelta(days=2)) == []  # announced, not yet there
    assert found(split_bars(1), 1.05) == []  # less than a day's move can be


def test_a_bad_print_on_the_ex_date_convicts_no_split() -> None:
    bars = split_bars(4)
    spoiled = pl.when(pl.int_range(pl.len()) == AT).then(pl.col("close") * 100)
    assert found(bars.with_columns(close=spoiled.otherwise("close")), 4.0) == []


def test_one_series_that_shows_it_is_enough() -> None:
    """A vendor that had adjusted its prices does not outvote one that had not."""
    other = split_bars(1).with_columns(source=pl.lit("other"))
    assert found(pl.concat([split_bars(4), other]), 4.0) == []
