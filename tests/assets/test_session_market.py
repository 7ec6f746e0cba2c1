"""The market of a session: prices of its day, its actions, its band, and its early close."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from adapters.brokers.opening import open_simulated_broker
from adapters.stores.event_log_memory import MemoryEventLog
from assets.desk import Desk
from assets.session_market import SessionMarkets
from assets.session_tables import Tables
from features import series
from features.calendars import session_close
from features.currency_rates import SCHEMA as RATES
from features.schemas import BARS, CORPORATE_ACTIONS, INSTRUMENTS
from features.schemas_derived import FORECASTS
from features.session_actions import chosen_actions
from models.promotion import PromotionRule
from models.training import TrainingSettings
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.named import venue_of
from swarm_core.frictions.venue import simple_venue
from swarm_core.instruments import MINOR_PER_UNIT, Instrument
from swarm_core.orders import Order, OrderKind, OrderSide, TimeInForce
from swarm_core.risk.limits import RiskLimits
from swarm_core.session import SessionRules, close_session
from swarm_core.sizing import SizingSettings

USD = MINOR_PER_UNIT
A = "US.A"
INSTRUMENT = Instrument(instrument_id=A, asset_class="equity", currency="USD", calendar="XNYS")
HALF_DAY = "2019-11-29"


def make_desk(**venue: object) -> Desk:
    return Desk(
        calendar="XNYS",
        base_currency="USD",
        asset_classes=("equity",),
        source_priority=(),
        starting_cash=1_000_000,
        benchmark_id=None,
        training_start=date(2018, 1, 1),
        training_end=date(2019, 1, 1),
        colony=ColonySettings(),
        limits=RiskLimits(),
        training=TrainingSettings(),
        promotion=PromotionRule(),
        venue=venue_of(venue, simple_venue(0.0, 0.0)),
    )


def make_tables(closes: dict[str, float], *actions: dict[str, Any], kind: str = "raw") -> Tables:
    """Return bars that open at 1 below their close, known at once, and actions of ex-dates."""
    bars: list[dict[str, Any]] = []
    for session, close in closes.items():
        at = session_close("XNYS", date.fromisoformat(session))
        bars.append(
            {
                "instrument_id": A,
                "event_time": at,
                "knowledge_time": at,
                "interval": "1d",
                "open": close - 1,
                "high": close,
                "low": close - 1,
                "close": close,
                "volume": 1e6,
                "adjustment": kind,
                "currency": "USD",
                "source": "files",
            }
        )
    told = [
        {
            "instrument_id": A,
            "event_time": _morning(action["ex"]),
            "knowledge_time": _morning(action["ex"]),
            "source": "files",
            **{k: v for k, v in action.items() if k != "ex"},
        }
        for action in actions
    ]
    rows = BARS.conform(pl.DataFrame(bars))
    known = CORPORATE_ACTIONS.conform(
        pl.DataFrame(told) if told else pl.DataFrame(schema=dict(CORPORATE_ACTIONS.columns))
    )
    return Tables(
        instruments=pl.DataFrame(schema=dict(INSTRUMENTS.columns)),
        bars=series.split_growth(rows, known),
        actions=chosen_actions(known, rows),
        rates=pl.DataFrame(schema=RATES),
        features=pl.DataFrame(),
        forecasts=pl.DataFrame(schema=dict(FORECASTS.columns)),
        benchmark={},
        versions={},
    )


def _morning(session: str) -> datetime:
    return datetime.combine(date.fromisoformat(session), time(14, 30), UTC)


class Floor:
    """A book that trades the markets of a desk, session after session."""

    def __init__(self, desk: Desk, tables: Tables, instrument: Instrument = INSTRUMENT) -> None:
        instruments = {A: instrument}
        self.markets = SessionMarkets(desk, tables, instruments)
        self.rules = SessionRules(
            colony=desk.colony,
            limits=desk.limits,
            instruments=instruments,
            sizing=SizingSettings(),
            carry=desk.venue.carry,
        )
        self.log, self.book = MemoryEventLog(), Book("USD", desk.starting_cash * USD)
        self.broker = open_simulated_broker(instruments, [], venue=desk.venue)

    def close(self, session: str, last_closed: str = "") -> None:
        market = self.markets.market(session, frozenset(), last_closed)
        close_session(market, self.rules, book=self.book, log=self.log, broker=self.broker)
        assert self.book.ledger.find_imbalance() is None

    def order(self, side: OrderSide, lots: int, sent: datetime, kind: OrderKind) -> None:
        order = Order(
            decision_id=f"d{lots}", instrument_id=A, side=side, quantity_lots=lots, kind=kind
        )
        self.broker.submit(order, round(sent.timestamp()) * 10**9)

    def fills(self) -> list[tuple[int, int]]:
        events = [r.event for r in self.log.read()]
        return [(e.lots, e.price_ticks) for e in events if isinstance(e, ev.OrderFilled)]


BEFORE, EX, AFTER = "2020-08-28", "2020-08-31", "2020-09-01"
SPLIT: dict[str, Any] = {"ex": EX, "kind": "split", "ratio": 4.0}
DIVIDEND: dict[str, Any] = {"ex": EX, "kind": "dividend", "amount": 0.8, "currency": "USD"}


def test_a_session_is_traded_at_the_prices_of_its_day_and_a_split_moves_the_position() -> None:
    tables = make_tables({BEFORE: 400.0, EX: 101.0, AFTER: 102.0}, SPLIT, DIVIDEND)
    floor = Floor(make_desk(), tables)
    floor.order(OrderSide.BUY, 100, _morning("2020-08-27"), OrderKind.MARKET_ON_OPEN)
    floor.close(BEFORE)
    floor.order(OrderSide.SELL, 40, _morning(BEFORE) + timedelta(hours=9), OrderKind.MARKET_ON_OPEN)
    floor.close(EX, BEFORE)

    # 100 at 399; 80.00 of dividend on 100; 40 ordered before the split are 160 after it, at 100.
    assert [lots for lots, _ in floor.fills()] == [100, 160]
    paid, received = (lots * ticks * USD // 100 for lots, ticks in floor.fills())
    assert floor.book.lots(A) == 400 - 160
    assert floor.book.ledger.cash["USD"] == 1_000_000 * USD - paid + received + 80 * USD
    floor.close(AFTER, EX)
    assert floor.book.lots(A) == 240


@pytest.mark.parametrize(("kind", "lots", "income"), [("split", 100, 80), ("total_return", 100, 0)])
def test_a_series_that_is_adjusted_has_its_actions_in_its_prices(
    kind: str, lots: int, income: int
) -> None:
    tables = make_tables({BEFORE: 100.0, EX: 101.0}, SPLIT, DIVIDEND, kind=kind)
    floor = Floor(make_desk(), tables)
    floor.order(OrderSide.BUY, 100, _morning("2020-08-27"), OrderKind.MARKET_ON_OPEN)
    floor.close(BEFORE)
    floor.close(EX, BEFORE)

    assert floor.book.lots(A) == lots
    assert floor.book.ledger.income.get("USD", 0) == income * USD


def test_what_is_halted_fills_nothing_and_has_no_quote() -> None:
    halt = {"ex": EX, "kind": "halt", "event_time": _morning(EX) - timedelta(hours=9)}
    over = _morning(AFTER) - timedelta(hours=5)
    tables = make_tables({BEFORE: 100.0, EX: 100.0, AFTER: 90.0}, {**halt, "end_time": over})
    floor = Floor(make_desk(), tables)
    floor.order(OrderSide.BUY, 10, _morning("2020-08-27"), OrderKind.MARKET)
    floor.close(BEFORE)
    order = Order(
        decision_id="d", instrument_id=A, side=OrderSide.SELL, quantity_lots=4,
        kind=OrderKind.MARKET, time_in_force=TimeInForce.GOOD_TILL_CANCELLED,
    )  # fmt: skip
    floor.broker.submit(order, round(_morning(BEFORE).timestamp() + 9 * 3600) * 10**9)
    shown: list[set[str]] = []
    for session, last in ((EX, BEFORE), (AFTER, EX)):
        floor.close(session, last)
        shown.append(set(floor.markets.market(session, frozenset(), last).quotes))

    assert [lots for lots, _ in floor.fills()] == [10, 4]
    assert floor.fills()[1][1] == pytest.approx(8_900, abs=5)
    assert shown == [set(), {A}]


def test_the_colony_sees_no_jump_where_a_split_is() -> None:
    markets = Floor(make_desk(), make_tables({BEFORE: 400.0, EX: 101.0}, SPLIT)).markets

    seen = [markets.researched_bars(markets.as_of(s))["close"].to_list() for s in (BEFORE, EX)]

    assert seen == [[400.0], [404.0]]


def test_an_action_of_a_session_that_was_passed_over_is_met_by_the_next() -> None:
    tables = make_tables({BEFORE: 400.0, AFTER: 102.0}, SPLIT)
    floor = Floor(make_desk(), tables)
    floor.order(OrderSide.BUY, 100, _morning("2020-08-27"), OrderKind.MARKET_ON_OPEN)
    floor.close(BEFORE)
    floor.close(AFTER, BEFORE)

    assert floor.book.lots(A) == 400


def test_a_foreign_share_is_valued_at_the_session_s_rate_and_without_one_not_ordered() -> None:
    """100 at 399 EUR and 1 EUR of impact, worth 400 and then 410: gains at 1.10 and at 1.20."""
    morning = _morning(BEFORE)
    told = [
        {"event_time": morning, "knowledge_time": morning, "above": 1.1},
        {"event_time": (at := _morning(EX)), "knowledge_time": at, "above": 1.2},
    ]
    rates = pl.DataFrame(told).select(
        pl.lit("EUR").alias("currency"), "event_time", "knowledge_time", "above", below=pl.lit(1.0)
    )
    late = "2020-09-14"
    tables = replace(make_tables({BEFORE: 400.0, EX: 410.0, late: 420.0}), rates=rates)
    desk = replace(make_desk(), foreign_currencies=("EUR",))
    floor = Floor(desk, tables, replace(INSTRUMENT, currency="EUR"))
    floor.order(OrderSide.BUY, 100, _morning("2020-08-27"), OrderKind.MARKET_ON_OPEN)
    navs = []
    for session, last in ((BEFORE, ""), (EX, BEFORE), (late, EX)):
        floor.close(session, last)
        navs.append(floor.book.ledger.find_nav_minor())
    gains = [99 * USD * 11 // 10, 1_099 * USD * 12 // 10, 2_099 * USD * 12 // 10]
    assert floor.fills() == [(100, 39_901)]
    assert navs == [1_000_000 * USD + gain for gain in gains]
    shown = [set(floor.markets.market(s, frozenset(), BEFORE).quotes) for s in (BEFORE, EX, late)]
    assert shown == [{A}, {A}, set()], "a rate of two weeks ago is none"


def test_the_band_is_of_the_close_before() -> None:
    floor = Floor(make_desk(price_limit_fraction=0.1), make_tables({BEFORE: 100.0, EX: 110.0}))

    (bar,) = floor.markets.market(EX, frozenset(), BEFORE).bars

    assert (bar.band_low_ticks, bar.band_high_ticks) == (9_000, 11_000)


def test_a_half_day_closes_early_with_its_orders_and_its_decision() -> None:
    """The day after Thanksgiving ends at 13:00 in New York, 18:00 UTC."""
    floor = Floor(make_desk(), make_tables({"2019-11-27": 100.0, HALF_DAY: 102.0}))
    market = floor.markets.market(HALF_DAY, frozenset(), "2019-11-27")
    closes = datetime(2019, 11, 29, 18, tzinfo=UTC)
    assert market.close_ns == round(closes.timestamp()) * 10**9 == market.bars[0].time_ns
    assert market.decision_ns - market.close_ns == 2 * 3600 * 10**9

    floor.order(OrderSide.BUY, 10, closes - timedelta(hours=1), OrderKind.MARKET_ON_CLOSE)
    floor.order(OrderSide.BUY, 11, closes - timedelta(hours=1), OrderKind.MARKET)
    floor.order(OrderSide.BUY, 12, closes + timedelta(hours=1), OrderKind.MARKET_ON_CLOSE)
    floor.close(HALF_DAY, "2019-11-27")

    # What came during the day has the close, whose open had passed; what came after it has not.
    assert sorted(lots for lots, _ in floor.fills()) == [10, 11]
    assert {r.event.time_ns for r in floor.log.read() if isinstance(r.event, ev.OrderFilled)} == {
        market.close_ns
    }


def test_nights_are_charged_as_the_settings_say() -> None:
    desk = make_desk(interest={"USD": {"credit": 0.036}})
    floor = Floor(desk, make_tables({BEFORE: 100.0, EX: 100.0}))
    floor.close(BEFORE)
    floor.close(EX, BEFORE)

    # Friday to Monday: 1,000,000 x 3.6 % x 3 / 360.
    assert floor.book.ledger.cash["USD"] == 1_000_000 * USD + 300 * USD
