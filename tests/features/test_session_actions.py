"""Which actions a session books: by the series' adjustment, its source, and its ex-date."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from features import series
from features.schemas import BARS, CORPORATE_ACTIONS
from features.session_actions import actions_between, chosen_actions, halted_ids, unadjusted
from swarm_core.action_events import ActionKind
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.exchanges import CashOut, SpinOff, StockMerger
from swarm_core.actions.splits import Split
from swarm_core.instruments import Instrument
from tests.swarm_core.builders import INSTRUMENTS, A, B, C, make_instrument

EX = datetime(2020, 8, 31, 13, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def make_actions(*rows: dict[str, object]) -> pl.DataFrame:
    base = {"instrument_id": A, "event_time": EX, "knowledge_time": EX, "source": "prices@1"}
    return CORPORATE_ACTIONS.conform(pl.DataFrame([{**base, **row} for row in rows]))


def make_bars(adjustment: str = "raw", closes: tuple[float, ...] = (400.0, 101.0)) -> pl.DataFrame:
    rows = [
        {
            "instrument_id": A,
            "event_time": EX.replace(hour=20) + DAY * (day - 1),
            "knowledge_time": EX.replace(hour=21) + DAY * (day - 1),
            "interval": "1d",
            "close": close,
            "adjustment": adjustment,
            "source": "prices@2",
        }
        for day, close in enumerate(closes)
    ]
    return BARS.conform(pl.DataFrame(rows))


SPLIT: dict[str, object] = {"kind": "split", "ratio": 4.0}
DIVIDEND: dict[str, object] = {"kind": "dividend", "amount": 0.82}
DELISTED: dict[str, object] = {"kind": "delisting", "amount": 12.5}


def found(
    actions: pl.DataFrame,
    bars: pl.DataFrame,
    instruments: Mapping[str, Instrument] = INSTRUMENTS,
) -> tuple[CorporateAction, ...]:
    chosen = chosen_actions(actions, bars)
    return actions_between(chosen, instruments, EX - DAY, EX)


@pytest.mark.parametrize(
    ("adjustment", "kinds"),
    [
        ("raw", [CashDividend, Split, CashOut]),
        ("split", [CashDividend, CashOut]),
        ("total_return", [CashOut]),
    ],
)
def test_what_is_in_the_price_already_is_not_booked_again(
    adjustment: str, kinds: list[type]
) -> None:
    actions = make_actions(SPLIT, DIVIDEND, DELISTED)

    assert [type(a) for a in found(actions, make_bars(adjustment))] == kinds


def test_an_action_carries_its_numbers_and_a_lasting_id() -> None:
    dividend, split, end = found(make_actions(SPLIT, DIVIDEND, DELISTED), make_bars())

    assert isinstance(split, Split)
    assert (split.action_id, split.numerator, split.denominator) == (
        "split:US.A:2020-08-31",
        4,
        1,
    )
    assert isinstance(dividend, CashDividend)
    assert dividend.amount == Decimal("0.82")
    assert isinstance(end, CashOut)
    assert end.price == Decimal("12.5")


def test_a_dividend_is_paid_at_its_pay_date_and_without_one_at_its_ex_date() -> None:
    paid = datetime(2020, 9, 10, 4, tzinfo=UTC)

    (known,) = found(make_actions({**DIVIDEND, "end_time": paid}), make_bars())
    (unknown,) = found(make_actions(DIVIDEND), make_bars())

    assert isinstance(known, CashDividend)
    assert known.pay_ns == 1_599_710_400 * 10**9
    assert isinstance(unknown, CashDividend)
    assert unknown.pay_ns == 0


def test_a_pay_date_that_is_told_later_replaces_the_one_before() -> None:
    first = {**DIVIDEND, "end_time": EX + 5 * DAY}
    later = {**DIVIDEND, "end_time": EX + 9 * DAY, "knowledge_time": EX + DAY}

    (only,) = found(make_actions(later, first), make_bars())

    assert isinstance(only, CashDividend)
    assert only.pay_ns == round((EX + 9 * DAY).timestamp()) * 10**9


CASH: dict[str, object] = {"kind": "merger", "amount": 26.755}
STOCK: dict[str, object] = {"kind": "merger", "ratio": 0.5, "detail": B}


def test_a_merger_pays_cash_gives_shares_or_both() -> None:
    (cash,) = found(make_actions(CASH), make_bars())
    (stock,) = found(make_actions(STOCK), make_bars())
    (both,) = found(make_actions({**STOCK, "amount": 10.0}), make_bars())

    assert isinstance(cash, CashOut)
    assert (cash.price, cash.action) == (Decimal("26.755"), ActionKind.MERGER)
    assert isinstance(stock, StockMerger)
    assert (stock.to_instrument_id, stock.ratio, stock.cash) == (B, Decimal("0.5"), 0)
    assert isinstance(both, StockMerger)
    assert both.cash == 10


@pytest.mark.parametrize(
    ("change", "adjustment"),
    [
        ({"detail": "NEWCO"}, "raw"),  # not known here
        ({"detail": C}, "raw"),  # quoted in another currency
        ({"detail": A}, "raw"),
        ({"amount": 10.0, "currency": "EUR"}, "raw"),
        ({}, "split"),  # the terms are of shares of the day
        ({}, "total_return"),
    ],
)
def test_a_merger_that_cannot_be_booked_as_stated_pays_the_last_mark(
    change: dict[str, object], adjustment: str
) -> None:
    instruments = {**INSTRUMENTS, C: make_instrument(C, currency="EUR")}

    (paid,) = found(make_actions({**STOCK, **change}), make_bars(adjustment), instruments)

    assert isinstance(paid, CashOut)
    assert paid.price is None


def test_who_is_delisted_for_nothing_is_paid_nothing() -> None:
    (worthless,) = found(make_actions({"kind": "delisting", "amount": 0.0}), make_bars())
    (unknown,) = found(make_actions({"kind": "delisting"}), make_bars())

    assert isinstance(worthless, CashOut)
    assert worthless.price == 0
    assert isinstance(unknown, CashOut)
    assert unknown.price is None


@pytest.mark.parametrize(
    ("starts", "ends", "halted"),
    [
        (-1.0, 1.0, True),
        (0.0, 0.25, True),  # from the open to the close
        (0.0, None, True),  # nobody knows until when
        (-2.0, 0.1, False),  # what traded in a part of it has a bar of that part
        (0.1, 1.0, False),
        (-2.0, -1.0, False),
    ],
)
def test_a_session_is_halted_that_a_halt_covers(
    starts: float, ends: float | None, halted: bool
) -> None:
    told = {
        "kind": "halt",
        "event_time": EX + starts * DAY,
        "end_time": None if ends is None else EX + ends * DAY,
    }
    chosen = chosen_actions(make_actions(told), make_bars())

    assert halted_ids(chosen, EX, EX + DAY / 4) == (frozenset({A}) if halted else frozenset())
    assert actions_between(chosen, INSTRUMENTS, EX - 3 * DAY, EX + 3 * DAY) == ()


def test_a_halt_whose_end_is_told_later_is_over() -> None:
    begun = {"kind": "halt", "event_time": EX - 2 * DAY}
    over = {**begun, "end_time": EX - DAY, "knowledge_time": EX + DAY}

    chosen = chosen_actions(make_actions(over, begun), make_bars())

    assert halted_ids(chosen, EX, EX + DAY / 4) == frozenset()


def test_rows_of_before_the_pay_date_was_a_column_are_read() -> None:
    stored = make_actions(DIVIDEND, SPLIT).drop("end_time")

    kinds = [type(a) for a in found(stored, make_bars())]

    assert kinds == [CashDividend, Split]
    assert "end_time" in unadjusted(stored).columns


def test_two_sources_that_tell_a_dividend_do_not_pay_it_twice() -> None:
    actions = make_actions(DIVIDEND, {**DIVIDEND, "amount": 0.205, "source": "other@1"})

    (only,) = found(actions, make_bars())

    assert isinstance(only, CashDividend)
    assert only.amount == Decimal("0.82")


def test_the_actions_of_another_source_count_where_the_series_has_none() -> None:
    assert len(found(make_actions({**DIVIDEND, "source": "other@1"}), make_bars())) == 1


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 1),
        ({"event_time": EX - DAY}, 0),  # the session before took it
        ({"event_time": EX + DAY}, 0),
        ({"knowledge_time": EX + 200 * DAY}, 1),  # a table that learned of it late
        ({"instrument_id": C}, 0),  # not traded
        ({"ratio": None}, 0),
        ({"ratio": 1.0}, 0),
        ({"ratio": -2.0}, 0),
        ({"kind": "rename"}, 0),  # an instrument keeps its identity
    ],
)
def test_only_sound_actions_of_this_ex_date_are_booked(
    change: dict[str, object], count: int
) -> None:
    assert len(found(make_actions({**SPLIT, **change}), make_bars())) == count


def test_a_source_that_tells_dividends_alone_leaves_splits_to_others() -> None:
    actions = make_actions(DIVIDEND, {**SPLIT, "source": "other@1"})

    assert [type(a) for a in found(actions, make_bars())] == [CashDividend, Split]


def test_a_spin_off_brings_the_new_instrument_or_else_its_value() -> None:
    told: dict[str, object] = {"kind": "spin_off", "ratio": 0.5, "amount": 20.0}

    (known,) = found(make_actions({**told, "detail": B}), make_bars())
    (unknown,) = found(make_actions({**told, "detail": "NEWCO"}), make_bars())

    assert isinstance(known, SpinOff)
    assert (known.to_instrument_id, known.to_price) == (B, Decimal(40))
    assert isinstance(unknown, CashDividend)
    assert unknown.amount == 20


def test_growth_makes_a_split_no_jump_and_moves_nothing_before_it() -> None:
    bars = make_bars(closes=(400.0, 101.0))

    grown = series.split_growth(bars, make_actions(SPLIT))

    assert grown["growth"].to_list() == [1.0, 4.0]
    assert (grown["close"] * grown["growth"]).to_list() == [400.0, 404.0]
    assert series.split_growth(bars, make_actions(DIVIDEND))["growth"].to_list() == [1.0, 1.0]
    split_adjusted = series.split_growth(make_bars("split"), make_actions(SPLIT))
    assert split_adjusted["growth"].to_list() == [1.0, 1.0]


def test_growth_and_back_adjustment_give_the_same_returns() -> None:
    bars = make_bars(closes=(400.0, 101.0, 103.0))
    actions = make_actions(SPLIT, {**SPLIT, "ratio": 0.5, "event_time": EX + DAY})

    back = series.back_adjusted(bars, actions)["close"]
    grown = series.split_growth(bars, actions)
    forward = grown["close"] * grown["growth"]

    assert (back / back.shift(1)).drop_nulls().to_list() == pytest.approx(
        (forward / forward.shift(1)).drop_nulls().to_list()
    )
