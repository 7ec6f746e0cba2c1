"""Labels: the return of a trade that could have been made, net of what it costs."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels import forward_returns
from tests.models.builders import DAY, START, make_bars


def test_a_decision_trades_at_the_next_open_and_leaves_at_the_close_of_the_horizon() -> None:
    bars = make_bars([100, 101, 102, 110], opens=[99, 100, 103, 104])
    first = forward_returns(bars, 2, 0.0).row(0, named=True)
    assert first["entry_price"] == 100
    assert first["exit_price"] == 102
    assert first["forward_return"] == pytest.approx(0.02)
    assert first["label_end_time"] == START + 2 * DAY
    assert first["label_knowledge_time"] == START + 2 * DAY + timedelta(minutes=15)


def test_a_series_of_closes_alone_trades_at_the_next_close_and_holds_as_long() -> None:
    first = forward_returns(make_bars([100, 101, 102, 110]), 2, 0.0).row(0, named=True)
    assert (first["entry_price"], first["exit_price"]) == (101, 110)
    assert first["label_end_time"] == START + 3 * DAY


def test_the_close_that_made_the_features_is_never_an_entry_price() -> None:
    jump = forward_returns(make_bars([1, 100, 100, 100, 100]), 1, 0.0)
    assert jump["forward_return"][0] == 0.0


@given(
    gross=st.floats(-0.5, 0.5),
    cost_bps=st.floats(0, 200),
)
def test_costs_move_every_return_towards_zero_by_two_sides_and_never_past_it(
    gross: float, cost_bps: float
) -> None:
    bars = make_bars([100, 100, 100 * (1 + gross)], opens=[100, 100, 100])
    net = forward_returns(bars, 2, cost_bps)["net_return"][0]
    assert abs(net) == pytest.approx(max(0.0, abs(gross) - 2 * cost_bps / 1e4), abs=1e-12)
    assert net * gross >= 0


def test_a_label_that_is_not_over_is_pending_and_has_no_value() -> None:
    last = forward_returns(make_bars([100, 101, 102]), 1, 0.0).tail(2)
    assert last["label_status"].to_list() == ["pending", "pending"]
    assert last.select("label", "label_end_time", "label_knowledge_time").null_count().row(0) == (
        2,
        2,
        2,
    )


@given(cut=st.integers(1, 11))
def test_what_was_known_earlier_never_changes_a_finished_label(cut: int) -> None:
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 12)))
    bars = make_bars(closes.tolist(), opens=(closes * 0.999).tolist())
    early = forward_returns(bars, 2, 5.0, known_by=START + cut * DAY)
    finished = early.filter(pl.col("label_status") == "complete")
    late = forward_returns(bars, 2, 5.0).head(finished.height)
    assert finished["label"].to_list() == late["label"].to_list()
    assert (finished["label_knowledge_time"] <= START + cut * DAY).all()


def test_a_revision_counts_only_from_when_it_was_known() -> None:
    bars = make_bars([100, 100, 100])
    known_later = START + 30 * DAY
    revised = bars.filter(pl.col("event_time") == START + 2 * DAY).with_columns(
        close=pl.lit(120.0), knowledge_time=pl.lit(known_later).cast(pl.Datetime("us", "UTC"))
    )
    both = pl.concat([bars, revised])
    before = forward_returns(both, 1, 0.0, known_by=known_later - DAY)
    after = forward_returns(both, 1, 0.0, known_by=known_later)
    assert before["forward_return"][0] == 0.0
    assert after["forward_return"][0] == pytest.approx(0.2)
    assert after["label_knowledge_time"][0] == known_later


def test_a_restatement_that_leaves_the_returns_as_they_were_makes_no_label_late() -> None:
    bars = make_bars([100, 102, 104.04], opens=[100, 101, 103])
    known_later = pl.lit(START + 30 * DAY).cast(pl.Datetime("us", "UTC"))
    # A split, one for three, to cents.
    split = bars.with_columns((pl.col("open", "close") / 3).round(2), knowledge_time=known_later)
    both = forward_returns(pl.concat([bars, split]), 1, 0.0)
    assert both.equals(forward_returns(bars, 1, 0.0).with_columns(both["sigma"]))
    later = bars.with_columns(pl.col("close") * 1.01, knowledge_time=known_later)
    changed = forward_returns(pl.concat([bars, later]), 1, 0.0)
    assert changed["label_knowledge_time"][0] == START + 30 * DAY


def test_a_hole_inside_the_holding_period_gives_no_label_and_outside_it_does() -> None:
    bars = make_bars([100, 101, 102, 103, 104, 105], days=[0, 1, 2, 40, 41, 42])
    status = forward_returns(bars, 1, 0.0)["label_status"].to_list()
    assert status == ["complete", "gap", "gap", "complete", "pending", "pending"]


def test_a_missing_close_is_no_bar() -> None:
    labels = forward_returns(make_bars([100, None, 102, 104]), 1, 0.0)
    assert labels.height == 3
    assert labels["forward_return"][0] == pytest.approx(104 / 102 - 1)


def test_holders_of_a_delisted_name_leave_at_the_last_close_less_the_customary_loss() -> None:
    bars = make_bars([100, 100, 80])
    gone = pl.DataFrame(
        {
            "instrument_id": ["US.A"],
            "kind": ["delisting"],
            "event_time": [START + 3 * DAY],
            "knowledge_time": [START + 4 * DAY],
            "amount": [None],
        },
        schema_overrides={
            "amount": pl.Float64,
            "event_time": pl.Datetime("us", "UTC"),
            "knowledge_time": pl.Datetime("us", "UTC"),
        },
    )
    labels = forward_returns(bars, 5, 0.0, delistings=gone)
    assert labels["label_status"].to_list() == ["delisted", "delisted", "pending"]
    assert labels["forward_return"][0] == pytest.approx(80 * 0.7 / 100 - 1)
    assert labels["label_end_time"][0] == START + 3 * DAY
    assert labels["label_knowledge_time"][0] == START + 4 * DAY
    cash = forward_returns(bars, 5, 0.0, delistings=gone.with_columns(amount=pl.lit(90.0)))
    assert cash["forward_return"][0] == pytest.approx(-0.1)
    unknown_yet = forward_returns(bars, 5, 0.0, delistings=gone, known_by=START + 3 * DAY)
    assert set(unknown_yet["label_status"]) == {"pending"}


def test_a_risk_scaled_label_is_in_deviations_of_what_was_known_then() -> None:
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.02, 60)))
    bars = make_bars(closes.tolist())
    labels = forward_returns(bars, 4, 0.0, risk_scaled=True, volatility_sessions=20)
    row = labels.row(40, named=True)
    changes = np.diff(closes[20:41]) / closes[20:40]
    assert row["sigma"] == pytest.approx(changes.std(ddof=1))
    assert row["label"] == pytest.approx(row["forward_return"] / (changes.std(ddof=1) * 2))


def test_two_sources_of_one_instrument_are_never_mixed_and_adjusted_prices_win() -> None:
    adjusted = make_bars([50, 51, 52], source="a")
    raw = make_bars([100, 102, 104, 106], source="b", adjustment="raw")
    labels = forward_returns(pl.concat([raw, adjusted]), 1, 0.0)
    assert labels.height == 3
    assert labels["entry_price"][0] == 51


def test_instruments_do_not_run_into_one_another() -> None:
    both = pl.concat([make_bars([1, 2, 3]), make_bars([100, 200, 300], instrument_id="US.B")])
    labels = forward_returns(both, 1, 0.0)
    assert labels.group_by("instrument_id").agg(pl.col("label").is_null().sum())[
        "label"
    ].to_list() == [2, 2]


def test_a_price_that_is_not_positive_cannot_be_bought() -> None:
    labels = forward_returns(make_bars([10, -37, 10, 12]), 1, 0.0)
    assert labels["label_status"].to_list() == ["no_price", "complete", "pending", "pending"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"horizon_sessions": 0, "cost_bps": 0}, "horizon_sessions must be in 1..252, was 0"),
        ({"horizon_sessions": 1, "cost_bps": -1}, "cost_bps must be in 0..1000, was -1"),
        (
            {"horizon_sessions": 1, "cost_bps": 0, "entry": "close"},
            "entry must be one of",
        ),
    ],
)
def test_arguments_out_of_bounds_say_what_must_hold(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        forward_returns(make_bars([1.0, 2.0]), **arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_bars_of_two_intervals_are_refused() -> None:
    hourly = make_bars([1, 2]).with_columns(interval=pl.lit("1h"))
    with pytest.raises(ValueError, match="must have one interval"):
        forward_returns(pl.concat([make_bars([1, 2]), hourly]), 1, 0.0)
