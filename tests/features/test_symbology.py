"""A ticker names another instrument on another day; an identity keeps its tickers."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.schemas import INSTRUMENTS
from features.symbology import (
    AmbiguousTickerError,
    UnknownTickerError,
    merge,
    overlapping_spells,
    resolve,
    resolve_rows,
    tickers_of,
)


def make_instruments(*spells: tuple[str, str, date | None, date | None]) -> pl.DataFrame:
    names = ("instrument_id", "ticker", "valid_from", "valid_to")
    schema = {n: INSTRUMENTS.columns[n] for n in names}
    return INSTRUMENTS.conform(
        pl.DataFrame(spells, schema=schema, orient="row").with_columns(
            asset_class=pl.lit("equity"), currency=pl.lit("USD"), calendar=pl.lit("XNYS"),
            venue=pl.lit("XNYS"),
        )
    )  # fmt: skip


# FB was another company until 2003, then Facebook, which is now META.
FB = make_instruments(
    ("US.FB.1", "FB", date(1999, 9, 29), date(2003, 3, 29)),
    ("US.META", "FB", date(2012, 5, 18), date(2022, 6, 9)),
    ("US.META", "META", date(2022, 6, 9), None),
)


@pytest.mark.parametrize(
    ("ticker", "day", "instrument_id"),
    [
        ("FB", date(2003, 3, 28), "US.FB.1"),
        ("FB", date(2012, 5, 18), "US.META"),
        ("META", date(2022, 6, 9), "US.META"),
    ],
)
def test_a_reused_ticker_names_its_bearer_of_the_day(ticker, day, instrument_id):
    assert resolve(FB, ticker, day) == instrument_id


def test_a_moment_counts_by_its_day():
    assert resolve(FB, "FB", datetime(2022, 6, 8, 23, tzinfo=UTC)) == "US.META"


@pytest.mark.parametrize("day", [date(2003, 3, 29), date(2010, 1, 1), date(2022, 6, 9)])
def test_between_its_spells_a_ticker_names_no_one(day):
    with pytest.raises(UnknownTickerError, match=r"'FB' must name an instrument on .*US.META from"):
        resolve(FB, "FB", day)


def test_a_ticker_never_used_is_said_to_be_so():
    with pytest.raises(UnknownTickerError, match="was never in use"):
        resolve(FB, "ZZZ", date(2020, 1, 1))


def test_two_bearers_on_one_day_are_an_error_and_are_found_beforehand():
    two = pl.concat([FB, make_instruments(("US.OTHER", "META", date(2023, 1, 1), None))])
    with pytest.raises(AmbiguousTickerError, match=r"was US\.META, US\.OTHER"):
        resolve(two, "META", date(2023, 6, 1))
    assert resolve(two, "META", date(2022, 7, 1)) == "US.META"
    assert overlapping_spells(two).select("ticker", "valid_from").rows() == [
        ("META", date(2023, 1, 1))
    ]
    assert overlapping_spells(FB).is_empty()


def test_an_identity_lists_its_tickers_in_time():
    assert tickers_of(FB, "US.META")["ticker"].to_list() == ["FB", "META"]
    with pytest.raises(UnknownTickerError):
        tickers_of(FB, "US.NOPE")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["FB", "META", "ZZZ"]), st.dates(date(1998, 1, 1), date(2025, 1, 1))
        ),
        max_size=30,
    )
)
def test_all_rows_at_once_say_what_one_by_one_says(asked):
    rows = pl.DataFrame(asked, schema={"ticker": pl.String, "day": pl.Date}, orient="row")
    found = resolve_rows(rows.with_row_index("n"), FB)
    expected = {}
    for n, (ticker, day) in enumerate(asked):
        try:
            expected[n] = resolve(FB, ticker, day)
        except UnknownTickerError:
            continue
    assert dict(found.resolved.select("n", "instrument_id").rows()) == expected
    assert found.resolved.height + found.unresolved.height == len(asked)


def test_merging_keeps_the_first_word_on_a_spell():
    other = FB.with_columns(name=pl.lit("from elsewhere"))
    merged = merge(FB, other, make_instruments(("US.A", "A", None, None)))
    assert merged.height == 4
    assert merged["name"].null_count() == 4
