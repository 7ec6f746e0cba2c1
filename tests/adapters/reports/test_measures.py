"""The numbers behind the pictures, against ones worked out by hand."""

from datetime import date, timedelta

import polars as pl
import pytest

from adapters.reports import measures
from features.schemas_derived import (
    DECISION_CONTRIBUTIONS,
    FILLS,
    NAV,
    POSITIONS,
    TRAILS,
)
from tests.adapters.reports.sample_run import close_of

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(40)]


def rows_of(schema: object, count: int, **columns: object) -> pl.DataFrame:
    days = DAYS[:count]
    base = pl.DataFrame({"session": days, "event_time": [close_of(d) for d in days]})
    values = {k: pl.Series(v) if isinstance(v, list) else pl.lit(v) for k, v in columns.items()}
    return schema.conform(base.with_columns(**values))  # type: ignore[attr-defined]  # any schema


def nav_of(*levels: float, benchmark: float | None = None) -> pl.DataFrame:
    nav_minor = [round(v * 1e8) for v in levels]
    return rows_of(NAV, len(levels), nav=list(levels), nav_minor=nav_minor, benchmark=benchmark)


def test_return_and_drawdown_of_a_curve() -> None:
    result = measures.performance(nav_of(100.0, 120.0, 90.0, 110.0))

    assert result.total_return == pytest.approx(0.10)
    assert result.drawdown_max == pytest.approx(0.25)
    assert result.sharpe is None  # four sessions say nothing about a year
    assert measures.drawdown(nav_of(100.0, 120.0, 90.0))["strategy"].to_list() == [0, 0, -0.25]


def test_what_the_owner_moves_is_neither_return_nor_drawdown() -> None:
    """A deposit of 100 in the third session and a withdrawal of 60 in the fourth; some unknown."""
    levels, moved = [100.0, 110.0, 214.5, 154.5], [None, 0.0, 100.0, 40.0]
    rows = nav_of(*levels).with_columns(moved_in=pl.Series(moved, dtype=pl.Float64))
    result = measures.performance(rows)

    assert result.nav == 154.5
    assert result.total_return == pytest.approx(1.10 * (114.5 / 110.0) - 1)
    assert result.drawdown_max == 0
    assert measures.equity(rows)["strategy"].to_list() == pytest.approx([100, 110, 114.5, 114.5])
    assert measures.drawdown(rows)["strategy"].to_list() == pytest.approx([0, 0, 0, 0])


def test_the_sharpe_ratio_is_mean_over_deviation_times_root_252() -> None:
    levels = [100.0]
    for i in range(30):
        levels.append(levels[-1] * (1.02 if i % 2 else 0.99))
    result = measures.performance(nav_of(*levels))

    # 15 returns of 2 % and 15 of -1 %: mean 0.5 %, sample deviation 1.5 % * sqrt(30 / 29)
    expected = 0.005 / (0.015 * (30 / 29) ** 0.5) * 252**0.5
    assert result.sharpe == pytest.approx(expected)


def test_a_flat_curve_has_no_sharpe_ratio() -> None:
    assert measures.performance(nav_of(*[100.0] * 30)).sharpe is None


def test_equity_starts_both_curves_at_100() -> None:
    rows = measures.equity(nav_of(50.0, 60.0, benchmark=4000.0))

    assert rows["strategy"].to_list() == pytest.approx([100.0, 120.0])
    assert rows["benchmark"].to_list() == [100.0, 100.0]


def test_small_positions_are_summed_as_others() -> None:
    parts = [
        rows_of(POSITIONS, 1, instrument_id=f"US.{i:02d}", quantity=1.0, weight=0.01 * (i + 1))
        for i in range(12)
    ]
    wide = measures.weights(pl.concat(parts))

    assert wide.columns[1] == "US.11"
    assert wide[measures.OTHERS][0] == pytest.approx(0.03)
    assert sum(wide.row(0)[1:]) == pytest.approx(0.78)


def test_senses_are_ordered_by_what_they_moved() -> None:
    parts = [
        rows_of(
            DECISION_CONTRIBUTIONS,
            2,
            decision_id="D",
            instrument_id=instrument,
            sense=sense,
            contribution=value,
        )
        for instrument, sense, value in [
            ("A", "weak", 0.1),
            ("A", "strong", -0.4),
            ("B", "strong", 0.2),
        ]
    ]
    shares = measures.sense_shares(pl.concat(parts))

    assert shares.columns == ["session", "strong", "weak"]
    assert shares["strong"].to_list() == pytest.approx([0.3, 0.3])


def test_the_net_trail_is_long_minus_short_and_the_last_session_is_kept() -> None:
    parts = [
        rows_of(TRAILS, 40, instrument_id="A", channel=channel, value=value)
        for channel, value in (("long", 0.7), ("short", 0.2))
    ]
    rows = measures.trail_map(pl.concat(parts), "net")

    assert rows.columns[-1] == DAYS[-1].isoformat()
    assert rows.row(0)[1:] == pytest.approx([0.5] * 40)
    assert measures.channels(pl.concat(parts)) == ["net", "long", "short"]


def test_slippage_is_weighted_by_value_and_costs_add_up() -> None:
    names = {"instrument_id": "A", "order_id": "O", "price": 10.0, "cost": 1.5}
    small = rows_of(FILLS, 2, fill_id="1", quantity=1.0, slippage_bps=10.0, **names)
    large = rows_of(FILLS, 2, fill_id="2", quantity=3.0, slippage_bps=2.0, **names)

    rows = measures.costs(pl.concat([small, large]), "USD")["USD"]

    assert rows["slippage_bps"].to_list() == pytest.approx([4.0, 4.0])
    assert rows["cumulative"].to_list() == pytest.approx([3.0, 6.0])


def test_costs_in_two_currencies_are_never_summed() -> None:
    names = {"instrument_id": "A", "order_id": "O", "price": 10.0, "quantity": 1.0}
    euro = rows_of(FILLS, 2, fill_id="1", cost=2.0, slippage_bps=1.0, currency="EUR", **names)
    dollar = rows_of(FILLS, 2, fill_id="2", cost=3.0, slippage_bps=5.0, currency="USD", **names)
    unnamed = rows_of(FILLS, 2, fill_id="3", cost=1.0, slippage_bps=5.0, **names)

    told = measures.costs(pl.concat([euro, dollar, unnamed]), "USD")

    assert list(told) == ["USD", "EUR"]
    assert told["USD"]["cumulative"].to_list() == pytest.approx([4.0, 8.0])
    assert told["EUR"]["cumulative"].to_list() == pytest.approx([2.0, 4.0])
    assert told["EUR"]["slippage_bps"].to_list() == pytest.approx([1.0, 1.0])
