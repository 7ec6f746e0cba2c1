"""Jumps and their names: faults are stopped, true moves pass."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features.schemas import CORPORATE_ACTIONS, INSTRUMENTS
from tests.features.validation.make import (
    check_bars,
    lean_bars,
    make_bars,
    make_instruments,
    scale_prices,
    set_cells,
    sp500_bars,
    stopped_rows,
)
from tests.shared_data import SHARED, needs_shared_data


def kinds_at(rows: pl.DataFrame, index: int, **changes: object) -> dict[str, str]:
    """Return kind and severity of every finding on one row."""
    found = check_bars(rows, **changes).findings.filter(pl.col("row_index") == index)
    return dict(found.select("kind", "severity").rows())


def with_volume(rows: pl.DataFrame, at: list[int], factor: float) -> pl.DataFrame:
    return set_cells(rows, at, volume=pl.col("volume") * factor)


def make_action(rows: pl.DataFrame, index: int, kind: str, **values: float) -> pl.DataFrame:
    return CORPORATE_ACTIONS.conform(
        rows[[index]].select(
            "instrument_id",
            "event_time",
            knowledge_time=pl.col("event_time") - pl.duration(days=20),
            kind=pl.lit(kind),
            source=pl.lit("test/actions@1"),
            **{name: pl.lit(value) for name, value in values.items()},
        )
    )


def test_a_price_that_is_gone_the_next_day_is_a_bad_print() -> None:
    assert kinds_at(scale_prices(make_bars(), [60], 1.4), 60)["bad_print"] == "quarantine"


def test_a_spike_on_heavy_trading_only_warns() -> None:
    rows = with_volume(scale_prices(make_bars(), [60], 1.4), [60], 12.0)
    assert kinds_at(rows, 60)["bad_print"] == "warn"


def test_a_lasting_fall_on_heavy_trading_is_true() -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 0.72)
    assert kinds_at(with_volume(rows, [60], 9.0), 60) == {"large_move": "info"}


def test_a_reverse_split_at_unchanged_volume_is_no_news() -> None:
    """The traded value is eightfold because the price is: nobody traded more."""
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 8.0)
    assert kinds_at(rows, 59) == {"unadjusted_split": "quarantine"}


@pytest.mark.parametrize("lasting", [2, 3, 10])
@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_ten_times_the_price_on_the_usual_volume_is_a_shifted_decimal(
    factor: float, lasting: int
) -> None:
    """A split makes as many shares more of one, and the volume follows."""
    places = list(range(120 - lasting, 120))
    rows = scale_prices(make_bars(instruments=1), places, factor)
    report = check_bars(rows)
    assert stopped_rows(report, "unit_error") == set(places)
    assert report.withheld == ("US.T0",)
    split = check_bars(with_volume(rows, places, 1 / factor))
    assert stopped_rows(split, "unadjusted_split") == set(range(120 - lasting))
    assert split.withheld == ()


def test_without_volumes_ten_times_the_price_waits_three_bars() -> None:
    rows = make_bars(instruments=1).with_columns(volume=pl.lit(None, dtype=pl.Float64))
    for lasting, held in ((2, True), (3, True), (6, False)):
        report = check_bars(scale_prices(rows, list(range(120 - lasting, 120)), 10.0))
        assert bool(report.withheld) is held


@pytest.mark.parametrize("ratio", [4 / 3, 5 / 4])
def test_a_split_of_four_for_three_in_raw_prices_is_found(ratio: float) -> None:
    """Prices that are told to be adjusted hold no splits: there it is a spin-off, and warns."""
    places = list(range(100, 120))
    rows = with_volume(scale_prices(make_bars(instruments=1), places, 1 / ratio), places, ratio)
    report = check_bars(rows.with_columns(adjustment=pl.lit("raw")))
    assert stopped_rows(report, "unadjusted_split") == set(range(100))
    assert report.withheld == ()
    assert stopped_rows(check_bars(rows)) == set()


@pytest.mark.parametrize(("factor", "volume", "is_held"), [
    (1.09, 1.0, True), (0.92, 1.0, True), (1.09, 4.0, False), (1.03, 1.0, False),
])  # fmt: skip
def test_a_newest_move_of_five_deviations_on_usual_volume_waits_for_the_next(
    factor: float, volume: float, *, is_held: bool
) -> None:
    rows = make_bars(instruments=1)
    level = float(rows["close"][118])
    moved = dict.fromkeys(("open", "high", "low", "close"), level * factor)
    moved |= {"high": level * factor * 1.002, "low": level * factor * 0.998}
    usual = float(rows["volume"].median())
    for at, held in ((119, is_held), (60, False)):
        spoiled = set_cells(rows, [at], **moved, volume=usual * volume)
        assert (at in stopped_rows(check_bars(spoiled), "bad_print")) is held or at == 60


def test_a_move_of_the_whole_market_is_not_even_looked_at() -> None:
    rows = make_bars(instruments=8)
    crash = [i for i in range(rows.height) if i % 120 >= 60]
    assert kinds_at(scale_prices(rows, crash, 0.8), 60) == {}


def test_a_raw_series_with_its_split_announced_passes() -> None:
    rows = make_bars(instruments=1).with_columns(adjustment=pl.lit("raw"))
    rows = with_volume(scale_prices(rows, list(range(60, 120)), 0.25), list(range(60, 120)), 4.0)
    action = make_action(rows, 60, "split", ratio=4.0)
    assert stopped_rows(check_bars(rows, corporate_actions=action)) == set()
    assert stopped_rows(check_bars(rows), "unadjusted_split") == set(range(60))


def test_an_adjusted_series_that_jumps_by_an_announced_split_was_not_adjusted() -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 0.25)
    action = make_action(rows, 60, "split", ratio=4.0)
    report = check_bars(rows, corporate_actions=action)
    assert stopped_rows(report, "unadjusted_split") == set(range(60))
    assert (report.findings["confidence"] > 0.9).any()


def test_a_fall_by_an_announced_payment_is_explained() -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 0.6)
    action = make_action(rows, 60, "dividend", amount=0.4 * rows["close"][59])
    assert kinds_at(rows, 60, corporate_actions=action) == {}


def test_a_fall_between_sessions_on_usual_volume_is_a_spin_off_that_warns() -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 0.77)
    assert kinds_at(rows, 60) == {"spin_off": "warn"}
    announced = make_action(rows, 60, "spin_off")
    assert kinds_at(rows, 60, corporate_actions=announced) == {"spin_off": "info"}


def test_units_mixed_so_that_none_can_be_proven_stop_the_whole_series() -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(30, 80)), 100.0)
    assert stopped_rows(check_bars(rows), "unit_error") == set(range(120))


@pytest.mark.parametrize(
    ("changed_at", "stopped"), [(12, range(12)), (60, range(120)), (108, range(108, 120))]
)
def test_a_lasting_change_of_unit_stops_the_minority_and_all_where_there_is_none(
    changed_at: int, stopped: range
) -> None:
    rows = scale_prices(make_bars(instruments=1), list(range(changed_at, 120)), 0.01)
    report = check_bars(rows)
    assert stopped_rows(report, "unit_error") == set(stopped)
    is_newest_in_doubt = 119 in stopped
    assert bool(report.withheld) == is_newest_in_doubt


def test_an_older_split_is_still_found_before_newest_records_in_another_unit() -> None:
    rows = make_bars(instruments=1)
    rows = scale_prices(rows, list(range(40)), 4.0)
    rows = set_cells(rows, list(range(40)), volume=pl.col("volume") / 4)
    report = check_bars(scale_prices(rows, list(range(110, 120)), 0.01))
    assert stopped_rows(report, "unadjusted_split") == set(range(40))
    assert stopped_rows(report, "unit_error") == set(range(110, 120))


def test_a_jump_into_the_newest_bar_never_convicts_the_history() -> None:
    rows = make_bars(instruments=1)
    for factor in (0.01, 0.25, 0.5, 1.7, 3.0, 100.0):
        assert stopped_rows(check_bars(scale_prices(rows, [119], factor))) == {119}


@pytest.mark.parametrize(("factor", "volume"), [(4.1, 30.0), (0.25, 60.0), (0.6, 9.0)])
def test_a_great_move_into_the_newest_bar_that_floods_the_volume_is_true(
    factor: float, volume: float
) -> None:
    rows = scale_prices(make_bars(instruments=1), [119], factor)
    rows = set_cells(rows, [119], low=pl.col("low") * 0.93)
    report = check_bars(with_volume(rows, [119], volume))
    assert (stopped_rows(report), report.withheld) == (set(), ())


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 10.0])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_split_on_a_day_of_news_withholds_its_instrument_until_volume_tells(
    ratio: float, after: int
) -> None:
    """The traded value was tenfold, so that the fall by half passed for news and was traded on."""
    newest = list(range(119 - after, 120))
    rows = with_volume(scale_prices(make_bars(instruments=1), newest, 1 / ratio), newest, ratio)
    report = check_bars(with_volume(rows, newest[:1], 10.0))
    assert (stopped_rows(report, "unadjusted_split"), report.withheld) == (set(newest), ("US.T0",))


@pytest.mark.parametrize("factor", [0.82, 0.88, 1.14, 1.19])
def test_a_newest_bar_that_nobody_traded_more_than_usual_waits_for_the_next(factor: float) -> None:
    """Below a fifth it only warned, and was traded on."""
    rows = scale_prices(make_bars(instruments=1), [119], factor)
    usual = set_cells(rows, [119], volume=pl.lit(rows["volume"].median()))
    report = check_bars(usual)
    assert (stopped_rows(report, "bad_print"), report.withheld) == ({119}, ("US.T0",))
    busy = check_bars(with_volume(usual, [119], 2.5))
    assert (stopped_rows(busy), busy.withheld) == (set(), ())


@pytest.mark.parametrize("opened", [0.97, 0.62])
def test_a_fall_at_no_split_or_of_the_day_itself_is_news(opened: float) -> None:
    """The first opened where the day before closed, the second lies at no ratio of a split."""
    rows = scale_prices(make_bars(instruments=1), [119], opened)
    closed = {0.97: 0.5, 0.62: 0.6}[opened] * pl.col("close") / opened
    rows = set_cells(rows, [119], close=closed, low=closed * 0.99)
    report = check_bars(with_volume(rows, [119], 12.0))
    assert (stopped_rows(report), report.withheld) == (set(), ())


def test_a_split_on_a_day_of_news_is_convicted_by_the_volume_after_it() -> None:
    """The share's own move of the day hid the ratio, and its volume spoke for news."""
    rows = make_bars(instruments=1)
    old = list(range(100))
    rows = with_volume(scale_prices(rows, old, 2.0 / 0.92), old, 0.5)
    report = check_bars(with_volume(rows, [100], 5.0))
    assert stopped_rows(report, "unadjusted_split") == set(old)


@pytest.mark.parametrize(
    ("factor", "volume"), [(4.1, 1.0), (10.0, 30.0), (100.0, 30.0), (8.0, 0.12), (2.7, 1.8)]
)
def test_a_great_move_without_a_flood_or_by_a_decimal_waits_for_the_next_bar(
    factor: float, volume: float
) -> None:
    rows = scale_prices(make_bars(instruments=1), [119], factor)
    assert stopped_rows(check_bars(with_volume(rows, [119], volume))) == {119}


def test_a_future_has_no_shares_to_split() -> None:
    """A roll, or oil in March 2020, put the whole history of the contract aside."""
    rows = scale_prices(make_bars(instruments=1), list(range(60, 120)), 1 / 3)
    future = make_instruments(rows).with_columns(asset_class=pl.lit("future"))
    assert kinds_at(rows, 59) == {"unadjusted_split": "quarantine"}
    assert kinds_at(rows, 60, instruments=future) == {"large_move": "info"}
    assert stopped_rows(check_bars(rows, instruments=future)) == set()
    cents = scale_prices(make_bars(instruments=1), list(range(12, 120)), 100.0)
    assert stopped_rows(check_bars(cents, instruments=future), "unit_error") == set(range(12))
    shifted = scale_prices(make_bars(instruments=1), list(range(12, 120)), 0.1)
    assert stopped_rows(check_bars(shifted, instruments=future)) == set(range(12))


def test_another_security_under_an_old_name_is_an_identity_break() -> None:
    rows = make_bars(instruments=1)
    moved = set_cells(
        scale_prices(rows, list(range(60)), 7.3),
        list(range(60)),
        event_time=pl.col("event_time") - pl.duration(days=400),
        knowledge_time=pl.col("knowledge_time") - pl.duration(days=400),
    )
    assert stopped_rows(check_bars(moved), "identity_break") == set(range(60))


def test_a_negative_price_is_impossible_for_a_share_and_for_a_future_the_wrong_sign() -> None:
    rows = scale_prices(make_bars(instruments=1), [60], -1.0)
    future = make_instruments(rows).with_columns(asset_class=pl.lit("future"))
    swapped = set_cells(rows, [60], high=pl.col("low"), low=pl.col("high"))
    assert stopped_rows(check_bars(swapped), "impossible_value") == {60}
    of_future = check_bars(swapped, instruments=INSTRUMENTS.conform(future))
    assert stopped_rows(of_future) == stopped_rows(of_future, "bad_print") == {60}


def test_a_lone_high_is_a_bad_print() -> None:
    rows = set_cells(make_bars(), [60], high=pl.col("high") * 5)
    assert kinds_at(rows, 60)["bad_print"] == "quarantine"


def test_one_series_under_two_names_is_stopped_and_a_share_class_is_not() -> None:
    rows = make_bars(instruments=2)
    first = rows.filter(instrument_id="US.T0")
    twin = first.with_columns(instrument_id=pl.lit("US.COPY"))
    report = check_bars(pl.concat([rows, twin]))
    assert stopped_rows(report, "same_series") == {*range(120), *range(240, 360)}
    rng = np.random.default_rng(4)
    noise = pl.Series(1 + rng.normal(0, 0.0008, 120))
    share = first.with_columns(
        pl.lit("US.CLASSB").alias("instrument_id"), close=first["close"] * noise
    )
    assert check_bars(pl.concat([rows, share])).findings.filter(kind="same_series").is_empty()


def test_the_same_index_in_two_sources_is_only_noted() -> None:
    rows = make_bars(instruments=2)
    other = rows.filter(instrument_id="US.T0").with_columns(
        instrument_id=pl.lit("INDEX.T0"), source=pl.lit("other/bars@1")
    )
    found = check_bars(pl.concat([rows, other])).findings.filter(kind="same_series")
    assert set(found["severity"]) == {"info"}


def test_dates_moved_by_a_day_are_a_wrong_zone() -> None:
    rows = make_bars(instruments=2)
    early = pl.when(instrument_id="US.T1").then(pl.duration(days=1)).otherwise(pl.duration())
    report = check_bars(rows.with_columns(event_time=pl.col("event_time") - early))
    assert stopped_rows(report, "wrong_zone") == set(range(120, 240))


@needs_shared_data
def test_known_spin_offs_of_real_companies_warn_under_their_name() -> None:
    rows = sp500_bars()
    found = check_bars(rows).findings.filter(kind="spin_off")
    days = {
        (rows["instrument_id"][i], str(time.date()))
        for i, time in found.select("row_index", "event_time").rows()
    }
    known = {
        ("US.A", "2014-11-03"),  # Keysight
        ("US.BAX", "2015-07-01"),  # Baxalta
        ("US.HPE", "2017-04-03"),  # DXC
        ("US.IR", "2013-12-02"),  # Allegion
        ("US.YUM", "2016-11-01"),  # Yum China
    }
    assert known <= days


@needs_shared_data
def test_real_unadjusted_splits_are_found_and_pass_when_announced() -> None:
    rows = lean_bars()
    found = check_bars(rows).findings.filter(kind="unadjusted_split", severity="quarantine")
    names = set(rows[found["row_index"].unique()]["instrument_id"])
    assert {"US.AAPL", "US.BAC", "US.IBM", "US.GOOG", "US.IWM", "US.EEM"} <= names
    apple = rows.filter(instrument_id="US.AAPL")
    splits = apple_splits()
    passed = check_bars(apple, corporate_actions=splits).findings.filter(severity="quarantine")
    assert passed.filter(kind="unadjusted_split").is_empty()


def apple_splits() -> pl.DataFrame:
    """Return Apple's splits from the factor file: a step of the split factor is the ratio."""
    factors = pl.read_csv(
        SHARED / "lean" / "factor_files" / "aapl.csv",
        has_header=False,
        new_columns=["day", "price", "split", "close"],
    ).with_columns(ratio=(pl.col("split").shift(-1) / pl.col("split")).round(3))
    close = pl.col("day").cast(pl.String).str.to_datetime("%Y%m%d", time_zone="UTC")
    splits = factors.filter(pl.col("ratio") > 1.01).with_columns(event_time=close)
    return CORPORATE_ACTIONS.conform(
        splits.select(
            "event_time",
            "ratio",
            instrument_id=pl.lit("US.AAPL"),
            knowledge_time=pl.col("event_time") - timedelta(days=20),
            kind=pl.lit("split"),
            source=pl.lit("lean/factors"),
        )
    )


@needs_shared_data
@pytest.mark.parametrize(
    ("day", "name"),
    [(datetime(2008, 10, 15, tzinfo=UTC), "US.SPY"), (datetime(2020, 3, 16, tzinfo=UTC), "US.SPY")],
)
def test_crash_days_of_an_index_fund_pass(day: datetime, name: str) -> None:
    rows = lean_bars().filter(instrument_id=name)
    report = check_bars(rows)
    around = report.findings.filter(
        pl.col("event_time").is_between(day - timedelta(days=5), day + timedelta(days=5))
    )
    assert around.filter(~pl.col("severity").is_in(["info"])).is_empty()
