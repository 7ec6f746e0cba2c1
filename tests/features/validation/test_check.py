"""Checking a table: what is found, what blocks, and that no row is lost."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.schemas import (
    BARS,
    CORPORATE_ACTIONS,
    MACRO,
    QUARANTINE_COLUMNS,
    QUOTES,
    TABLES,
    UTC_TIME,
)  # fmt: skip
from features.validation import FINDINGS, CheckContext, ValidationSettings, check, split
from tests.features.validation.make import (
    check_bars,
    make_bars,
    make_context,
    scale_prices,
    set_cells,
    stopped_rows,
)

NOON = datetime(2021, 6, 1, 12, tzinfo=UTC)


def test_valid_bars_pass_whole() -> None:
    rows = make_bars()
    report = check_bars(rows)
    assert not report.blocking
    assert report.findings.filter(pl.col("severity") != "info").is_empty()
    assert split(rows, report)[0].equals(rows)


def test_a_missing_column_blocks_and_is_named() -> None:
    report = check_bars_without("close")
    assert report.blocking
    assert report.findings["kind"].to_list() == ["missing_column"]
    assert "close" in report.blocking_reasons[0]


def check_bars_without(column: str):
    rows = make_bars()
    return check("bars", rows.drop(column), context=make_context(rows))


def test_a_time_without_a_zone_blocks() -> None:
    rows = make_bars()
    naive = rows.with_columns(pl.col("event_time").dt.replace_time_zone(None))
    report = check("bars", naive, context=make_context(rows))
    assert report.findings["kind"].to_list() == ["wrong_type"]


def test_a_number_that_is_text_blocks() -> None:
    rows = make_bars().with_columns(pl.lit("n/a").alias("close"))
    assert check_bars(rows).blocking


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(KeyError, match="table must be one of"):
        check("bar", make_bars(), context=CheckContext(as_of=NOON))


def test_no_bars_at_all_block() -> None:
    report = check("bars", BARS.empty(), context=CheckContext(as_of=NOON))
    assert report.blocking
    assert report.findings["kind"].to_list() == ["no_rows"]


def test_no_corporate_actions_are_no_fault() -> None:
    empty = TABLES["corporate_actions"].empty()
    assert not check("corporate_actions", empty, context=CheckContext(as_of=NOON)).blocking


@pytest.mark.parametrize(
    ("days", "kinds"), [(-2, []), (0, []), (200, []), (None, []), (-30, ["out_of_range"]),
                        (400, ["out_of_range"])],
)  # fmt: skip
def test_a_pay_date_far_from_the_ex_date_is_told_and_the_dividend_stays(
    days: int | None, kinds: list[str]
) -> None:
    ex = datetime(2020, 3, 5, 14, 30, tzinfo=UTC)
    rows = CORPORATE_ACTIONS.conform(
        pl.DataFrame(
            {
                "instrument_id": ["US.A"],
                "event_time": [ex],
                "knowledge_time": [ex],
                "end_time": [None if days is None else ex + timedelta(days=days)],
                "kind": ["dividend"],
                "amount": [0.5],
                "source": ["file@1"],
            },
            schema_overrides={"end_time": UTC_TIME},
        )
    )

    report = check("corporate_actions", rows, context=CheckContext(as_of=NOON))

    assert report.findings["kind"].to_list() == kinds
    assert split(rows, report)[0].height == 1


def test_an_as_of_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="as_of must carry a time zone"):
        CheckContext(as_of=datetime(2021, 1, 1))  # noqa: DTZ001  # the fault under test


def test_a_threshold_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"jump_sigmas must be from 4\.0 to 50\.0, was 1\.0"):
        ValidationSettings(jump_sigmas=1.0)


def test_an_exact_copy_is_stopped_once_and_a_contradiction_on_both_sides() -> None:
    rows = make_bars(instruments=1)
    copied = pl.concat([rows, rows[[5]], set_cells(rows, [9], close=pl.col("close") * 1.001)[[9]]])
    report = check_bars(copied)
    assert stopped_rows(report, "duplicate") == {rows.height}
    assert stopped_rows(report, "conflicting_duplicate") == {9, rows.height + 1}


def test_a_revision_is_no_duplicate() -> None:
    rows = make_bars(instruments=1)
    later = pl.col("knowledge_time") + pl.duration(days=1)
    revised = set_cells(rows, [9], close=pl.col("close") * 1.001, knowledge_time=later)[[9]]
    assert stopped_rows(check_bars(pl.concat([rows, revised]))) == set()


def test_one_row_known_before_it_was_true_blocks() -> None:
    early = pl.col("event_time") - pl.duration(hours=1)
    report = check_bars(set_cells(make_bars(), [17], knowledge_time=early))
    assert report.blocking
    assert stopped_rows(report, "look_ahead") == {17}


def test_a_row_from_the_future_is_stopped_and_many_block() -> None:
    rows = make_bars(days=200)
    far = set_cells(rows, [3], event_time=datetime(2031, 1, 2, 21, tzinfo=UTC))
    one = check("bars", far, context=make_context(rows))
    assert stopped_rows(one, "future") == {3}
    as_of = rows["event_time"].sort()[rows.height // 2]
    many = check("bars", rows, context=make_context(rows, as_of=as_of))
    assert any("quarantined" in reason for reason in many.blocking_reasons)


@pytest.mark.parametrize(("known_days", "stopped"), [(1, True), (-1, False)])
def test_a_value_dated_ahead_passes_only_once_it_is_known(known_days: int, stopped: bool) -> None:
    rows = MACRO.conform(
        pl.DataFrame(
            {
                "series_id": ["GDP"],
                "event_time": [NOON + timedelta(days=30)],
                "knowledge_time": [NOON + timedelta(days=known_days)],
                "value": [2.0],
                "source": ["test/macro@1"],
            }
        )
    )
    report = check("macro", rows, context=CheckContext(as_of=NOON))
    assert bool(stopped_rows(report)) == stopped


def test_a_missing_newest_session_blocks_unless_history_is_checked() -> None:
    rows = make_bars()
    late = rows["event_time"].max() + timedelta(days=7)
    assert check_bars(rows, as_of=late).blocking
    history = ValidationSettings(require_fresh=False)
    assert not check_bars(rows, as_of=late, settings=history).blocking


def test_one_bad_newest_row_withholds_its_instrument_only() -> None:
    rows = make_bars(instruments=30)
    last = 5 * 120 - 1
    report = check_bars(set_cells(rows, [last], close=None))
    assert report.withheld == (rows["instrument_id"][last],)
    assert not report.blocking


def test_many_bad_newest_rows_block() -> None:
    rows = make_bars(instruments=30)
    report = check_bars(set_cells(rows, [119, 239, 359], close=None))
    assert any("newest" in reason for reason in report.blocking_reasons)


def test_quarantined_rows_keep_every_value_as_json() -> None:
    rows = make_bars()
    clean, quarantined = split(rows, check_bars(set_cells(rows, [7], volume=-1.0)))
    assert quarantined.schema == pl.Schema(QUARANTINE_COLUMNS)
    assert clean.height == rows.height - 1
    kept = json.loads(quarantined["row"][0])
    assert kept["close"] == rows["close"][7]
    assert quarantined["source_row"].to_list() == [7]


def test_splitting_other_rows_than_were_checked_is_refused() -> None:
    rows = make_bars()
    with pytest.raises(ValueError, match="rows must be the 360 rows of the report, were 10"):
        split(rows.head(10), check_bars(rows))


@settings(max_examples=20, deadline=None)
@given(bad=st.sets(st.integers(0, 59), max_size=20))
def test_no_row_is_lost_and_none_is_in_both_parts(bad: set[int]) -> None:
    rows = set_cells(make_bars(instruments=1, days=60), sorted(bad), close=None)
    report = check_bars(rows)
    clean, quarantined = split(rows, report)
    kept = set(clean["source_row"]) | set(quarantined["source_row"])
    assert kept == set(range(60))
    assert not set(clean["source_row"]) & set(quarantined["source_row"])
    assert set(quarantined["source_row"]) == bad


def test_every_finding_is_complete_and_bounded() -> None:
    rows = set_cells(make_bars(), [4], close=None, volume=-2.0)
    report = check_bars(rows)
    assert report.findings.schema == pl.Schema(FINDINGS)
    assert report.findings["confidence"].is_between(0, 1).all()
    for column in ("rule", "kind", "severity", "reason"):
        assert report.findings[column].null_count() == 0


def test_the_order_of_rows_does_not_change_what_is_found() -> None:
    rows = set_cells(make_bars(), [50], close=pl.col("close") * 3)
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=3)
    found = [
        sorted(check_bars(frame).findings.select("kind", "source_row", "severity").rows())
        for frame in (rows, shuffled)
    ]
    assert found[0] == found[1]


def test_a_single_new_session_is_judged_by_its_history() -> None:
    rows = make_bars(instruments=30)
    newest = rows["event_time"].max()
    today = rows.filter(pl.col("event_time") == newest)
    spoiled = set_cells(today, [4], close=pl.col("close") * 2.6, high=pl.col("high") * 2.6)
    report = check_bars(spoiled, reference=rows.filter(pl.col("event_time") < newest))
    assert stopped_rows(report) == {4}
    assert report.withheld == (today["instrument_id"][4],)
    assert check_bars(today, reference=rows).findings.filter(severity="quarantine").is_empty()


def test_a_computed_row_that_rests_on_later_knowledge_blocks() -> None:
    features = pl.DataFrame(
        {
            "instrument_id": ["A", "B"],
            "event_time": [NOON, NOON],
            "knowledge_time": [NOON, NOON + timedelta(hours=2)],
            "as_of": [NOON + timedelta(hours=1)] * 2,
            "ret_1d": [0.1, float("inf")],
        },
        schema_overrides={
            name: pl.Datetime("us", "UTC") for name in ("event_time", "knowledge_time", "as_of")
        },
    )
    report = check("features", features, context=CheckContext(as_of=NOON + timedelta(days=1)))
    assert {"look_ahead", "not_finite"} == set(report.findings["kind"])
    assert report.blocking


def make_quotes(bid: list[float], ask: list[float]) -> pl.DataFrame:
    times = [NOON + timedelta(minutes=i) for i in range(len(bid))]
    return QUOTES.conform(
        pl.DataFrame(
            {
                "instrument_id": ["US.A"] * len(bid),
                "event_time": times,
                "knowledge_time": times,
                "bid": bid,
                "ask": ask,
                "source": ["test/quotes@1"] * len(bid),
            },
            schema_overrides={
                n: pl.Datetime("us", "UTC") for n in ("event_time", "knowledge_time")
            },
        )
    )


def test_quotes_are_crossed_locked_wide_stray_or_sound() -> None:
    quotes = make_quotes(
        [10.0, 10.2, 10.0, 10.0, 32.0, 0.0], [10.1, 10.0, 10.0, 14.0, 199_999.99, 0.0]
    )
    report = check("quotes", quotes, context=CheckContext(as_of=NOON + timedelta(hours=1)))
    kinds = dict(report.findings.sort("row_index").select("row_index", "kind").rows())
    assert kinds[1] == "crossed"
    assert kinds[3] == "wide_spread"
    assert kinds[4] == "bad_print"
    assert 0 not in kinds
    assert stopped_rows(report) == {1, 4, 5}


def make_macro(values: list[float]) -> pl.DataFrame:
    times = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(len(values))]
    return MACRO.conform(
        pl.DataFrame(
            {
                "series_id": ["rate"] * len(values),
                "event_time": times,
                "knowledge_time": [t + timedelta(days=1) for t in times],
                "value": values,
                "source": ["test/macro@1"] * len(values),
            },
            schema_overrides={
                n: pl.Datetime("us", "UTC") for n in ("event_time", "knowledge_time")
            },
        )
    )


def test_a_percentage_among_fractions_is_a_unit_error_and_a_negative_oil_price_is_true() -> None:
    rates = [0.021 + 0.0001 * (i % 5) for i in range(60)]
    rates[30] *= 100
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    assert stopped_rows(check("macro", make_macro(rates), context=context), "unit_error") == {30}
    oil = [20.0 + (i % 3) for i in range(60)]
    oil[30] = -36.98
    assert stopped_rows(check("macro", make_macro(oil), context=context)) == set()


@pytest.mark.parametrize("value", [-9999.0, -999.0, -2.05])
def test_a_number_that_stands_for_none_and_a_wrong_sign_are_put_aside(value: float) -> None:
    """-9999 among rates of 2 was a true value: below zero no logarithm tells a jump."""
    rates = [2.0 + 0.05 * (i % 3) for i in range(60)]
    rates[30] = value
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    assert stopped_rows(check("macro", make_macro(rates), context=context), "bad_print") == {30}


@pytest.mark.parametrize("places", [[59], [30, 31, 32], [0]])
@pytest.mark.parametrize("value", [999.0, 9999.0, 9999.99])
def test_a_number_of_nines_among_rates_is_put_aside(value: float, places: list[int]) -> None:
    """The newest value of 9999 passed with a warning, and features were computed of it."""
    rates = [2.0 + 0.05 * (i % 3) for i in range(60)]
    for place in places:
        rates[place] = value
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    assert stopped_rows(check("macro", make_macro(rates), context=context)) == set(places)


def test_a_number_of_nines_near_the_values_beside_it_is_true() -> None:
    claims = [950.0 + 7 * (i % 9) for i in range(60)]
    claims[20] = claims[59] = 999.0
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    assert stopped_rows(check("macro", make_macro(claims), context=context)) == set()


def test_growth_that_turns_negative_is_true() -> None:
    growth = [2.0 + 0.3 * (i % 4) for i in range(60)]
    growth[30:32] = [-7.5, -9.9]
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    assert stopped_rows(check("macro", make_macro(growth), context=context)) == set()


def test_a_revision_by_a_factor_of_a_hundred_is_a_unit_error() -> None:
    rows = make_macro([2.0 + 0.1 * (i % 4) for i in range(30)])
    later = pl.col("knowledge_time") + pl.duration(days=30)
    revised = set_cells(rows, [8], value=pl.col("value") * 100, knowledge_time=later)[[8]]
    context = CheckContext(as_of=datetime(2021, 1, 1, tzinfo=UTC))
    report = check("macro", pl.concat([rows, revised]), context=context)
    assert rows.height in stopped_rows(report, "unit_error")


def test_versions_that_repair_their_unit_convict_the_ones_before() -> None:
    rows = make_bars(instruments=1)
    wrong = scale_prices(rows, [60, 61], 100.0)
    repairs = rows[[60, 61]].with_columns(pl.col("knowledge_time").dt.offset_by("3d"))
    findings = check_bars(pl.concat([wrong, repairs])).findings
    units = findings.filter(pl.col("rule") == "revision_units")
    assert units["row_index"].sort().to_list() == [60, 61]


def test_a_series_that_changes_its_unit_as_a_whole_keeps_what_was_known_first() -> None:
    rows = make_bars(instruments=1)
    later = scale_prices(rows, list(range(rows.height)), 100.0)
    restated = later.with_columns(pl.col("knowledge_time").dt.offset_by("30d"))
    findings = check_bars(pl.concat([rows, restated])).findings
    units = findings.filter(pl.col("rule") == "revision_units")
    assert units["row_index"].min() == rows.height
