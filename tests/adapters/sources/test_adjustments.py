"""Splits and dividends are found again from the factors that they leave behind."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources.adjustments import implied_actions


def make_bars(closes, adjusted):
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(len(closes))]
    return pl.DataFrame(
        {
            "instrument_id": "US.A", "date": days, "close": [float(c) for c in closes],
            "adj_close": [float(a) for a in adjusted], "source_row": list(range(len(closes))),
        }
    )  # fmt: skip


def adjusted_by(closes, action_at, base, *, split=1.0, dividend=0.0):
    """Apply the textbook factor to all closes before the action."""
    close, before = closes[action_at], closes[action_at - 1]
    if base == "on_close":
        factor = 1 / (split * (1 + dividend / close))
    else:
        factor = (1 / split) * (1 - dividend / (before / split))
    return [c * (factor if i < action_at else 1.0) for i, c in enumerate(closes)]


@settings(max_examples=60, deadline=None)
@given(
    base=st.sampled_from(["on_close", "on_previous_close"]),
    split=st.sampled_from([1.0, 2.0, 3.0, 1.5, 7.0, 0.1, 0.5, 20.0]),
    dividend=st.floats(0.05, 2.0),
)
def test_what_was_applied_is_found_again(base, split, dividend):
    closes = [100.0, 101.0, 99.0 / split, 98.0 / split]
    paid = dividend / split
    found = implied_actions(
        make_bars(closes, adjusted_by(closes, 2, base, split=split, dividend=paid)),
        dividend_base=base,
    )
    amounts = found.filter(kind="dividend")["amount"].to_list()
    assert amounts == pytest.approx([paid], rel=1e-6)
    assert found.filter(kind="split")["ratio"].to_list() == ([] if split == 1.0 else [split])
    assert set(found["date"]) == {date(2020, 1, 3)}


def test_rounding_of_published_prices_is_no_action():
    closes = [100.0, 101.0, 102.0]
    assert implied_actions(make_bars(closes, closes), dividend_base="on_close").is_empty()
    noisy = [c * (1 + e) for c, e in zip(closes, (1e-6, -1e-6, 1e-6), strict=True)]
    found = implied_actions(make_bars(closes, noisy), dividend_base="on_previous_close")
    assert found.is_empty()
