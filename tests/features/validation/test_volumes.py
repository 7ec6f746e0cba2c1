"""A bar whose trading is told wrongly is put aside: another scale of volume, one single price."""

import polars as pl
import pytest

from features.validation import ValidationReport
from tests.features.validation.make import (
    check_bars,
    make_bars,
    set_cells,
    sp500_bars,
    stopped_rows,
)
from tests.shared_data import needs_shared_data

_NEWEST = 119


def with_volume(rows: pl.DataFrame, at: list[int], factor: float) -> pl.DataFrame:
    """Return the rows with the volume of some bars times a factor."""
    return set_cells(rows, at, volume=pl.col("volume") * factor)


def with_one_price(rows: pl.DataFrame, at: int, price: float) -> pl.DataFrame:
    return set_cells(rows, [at], open=price, high=price, low=price, close=price)


def found_by(report: ValidationReport, rule: str) -> list[tuple[int, str]]:
    """Return rows and severities of what one rule has found."""
    found = report.findings.filter(pl.col("rule") == rule).sort("row_index")
    return list(found.select("row_index", "severity").iter_rows())


@pytest.mark.parametrize("at", [60, _NEWEST])
@pytest.mark.parametrize("factor", [1_000.0, 150.0, 1 / 150, 1 / 1_000])
def test_a_quiet_bar_with_a_volume_of_another_scale_is_put_aside(at: int, factor: float) -> None:
    report = check_bars(with_volume(make_bars(instruments=1), [at], factor))
    assert stopped_rows(report, "unit_error") == {at}
    assert report.withheld == (("US.T0",) if at == _NEWEST else ())


@pytest.mark.parametrize("factor", [20.0, 5.0, 0.2, 0.1])
def test_a_busy_or_a_silent_day_passes(factor: float) -> None:
    report = check_bars(with_volume(make_bars(instruments=1), [60], factor))
    assert found_by(report, "volume_scale") == []


@pytest.mark.parametrize(("factor", "is_held"), [(20.0, True), (0.05, True), (4.0, False)])
def test_a_newest_bar_of_ten_times_the_volume_waits_for_the_next(
    factor: float, is_held: bool
) -> None:
    report = check_bars(with_volume(make_bars(instruments=1), [_NEWEST], factor))
    assert found_by(report, "volume_scale") == ([(_NEWEST, "quarantine")] if is_held else [])
    assert report.withheld == (("US.T0",) if is_held else ())


@pytest.mark.parametrize("at", [60, _NEWEST])
@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_a_day_on_which_a_whole_market_has_ten_times_the_volume_is_put_aside(
    at: int, factor: float
) -> None:
    rows = make_bars(instruments=12)
    places = [at + 120 * number for number in range(12)]
    found = found_by(check_bars(with_volume(rows, places, factor)), "volume_scale")
    assert found == [(place, "quarantine") for place in places]


@pytest.mark.parametrize("volume", [None, 0.0])
def test_a_newest_bar_that_lost_its_volume_waits_for_the_next(volume: float | None) -> None:
    for at, held in ((_NEWEST, [(_NEWEST, "quarantine")]), (60, [])):
        report = check_bars(set_cells(make_bars(instruments=1), [at], volume=volume))
        assert found_by(report, "lost_volume") == held
        assert report.withheld == (("US.T0",) if held else ())


def test_half_a_day_of_a_market_passes() -> None:
    rows = make_bars(instruments=12)
    places = [_NEWEST + 120 * number for number in range(12)]
    assert found_by(check_bars(with_volume(rows, places, 0.3)), "volume_scale") == []


def test_a_great_volume_on_news_passes() -> None:
    rows = with_volume(make_bars(instruments=1), [_NEWEST], 200.0)
    higher = {c: float(rows[c][_NEWEST]) * 1.2 for c in ("open", "high", "low", "close")}
    assert found_by(check_bars(set_cells(rows, [_NEWEST], **higher)), "volume_scale") == []


@pytest.mark.parametrize(("lasting", "severities"), [(3, ["quarantine"] * 3), (30, ["warn"])])
def test_a_scale_that_stays_is_told_and_one_that_is_young_waits(
    lasting: int, severities: list[str]
) -> None:
    at = list(range(_NEWEST + 1 - lasting, _NEWEST + 1))
    report = check_bars(with_volume(make_bars(instruments=1), at, 1_000.0))
    found = found_by(report, "volume_scale")
    assert found == list(zip(at, severities, strict=False))


def test_a_series_that_hardly_trades_has_no_usual_volume() -> None:
    rows = make_bars(instruments=1)
    thin = rows.with_columns(
        volume=pl.when(pl.int_range(pl.len()) % 10 == 0).then(900).otherwise(0)
    )
    assert found_by(check_bars(with_volume(thin, [110], 1_000.0)), "volume_scale") == []


@pytest.mark.parametrize("at", [60, _NEWEST])
def test_a_day_at_one_price_on_a_usual_volume_is_put_aside(at: int) -> None:
    rows = make_bars(instruments=1)
    for price in (float(rows["close"][at]), float(rows["close"][at - 1]) + 0.01):
        report = check_bars(with_one_price(rows, at, price))
        assert found_by(report, "single_price") == [(at, "quarantine")]
        assert report.withheld == (("US.T0",) if at == _NEWEST else ())


def test_one_day_at_one_price_is_told_in_a_short_series_as_well() -> None:
    rows = make_bars(instruments=1, days=60)
    report = check_bars(with_one_price(rows, 59, float(rows["close"][59])))
    assert found_by(report, "single_price") == [(59, "quarantine")]


def test_a_day_locked_at_its_limit_passes() -> None:
    rows = make_bars(instruments=1)
    locked = with_one_price(rows, _NEWEST, round(float(rows["close"][_NEWEST - 1]) * 1.1, 2))
    assert found_by(check_bars(locked), "single_price") == []


def test_a_day_at_one_price_that_hardly_traded_passes() -> None:
    rows = with_volume(make_bars(instruments=1), [_NEWEST], 0.1)
    quiet = with_one_price(rows, _NEWEST, float(rows["close"][_NEWEST]))
    assert found_by(check_bars(quiet), "single_price") == []


def test_a_series_of_closes_alone_passes() -> None:
    rows = make_bars(instruments=1)
    same = {c: pl.col("close") for c in ("open", "high", "low")}
    assert found_by(check_bars(rows.with_columns(**same)), "single_price") == []
    some = rows.with_columns(
        **{
            c: pl.when(pl.int_range(pl.len()) % 30 == 0).then("close").otherwise(c)
            for c in ("open", "high", "low")
        }
    )
    assert found_by(check_bars(some), "single_price") == []


@needs_shared_data
def test_what_is_found_in_real_shares_was_written_wrongly() -> None:
    rows = sp500_bars()
    report = check_bars(rows)
    found = {
        (rows["instrument_id"][at], str(rows["event_time"][at].date()), rows["volume"][at])
        for rule in ("volume_scale", "single_price")
        for at, severity in found_by(report, rule)
        if severity == "quarantine"
    }
    assert found == {("US.REGN", "2015-06-09", 12_135.0)}  # beside 800,000, without an open
