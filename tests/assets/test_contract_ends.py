"""The scheduled decision and contracts that end: told, and let only shrink, as in the trader."""

from dataclasses import replace

import pytest

from assets.contract_ends import KnownEnds
from assets.trading_floor import TradingFloor
from swarm_core.book import book_from_events
from swarm_core.market import Quote
from swarm_core.orders import Order, OrderSide
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.context import measure
from swarm_core.risk.gate import Denied, check_order
from swarm_core.risk.limits import RiskLimits
from swarm_core.session import SessionRules
from swarm_core.sizing import SizingSettings
from tests.assets.test_session_market import make_desk
from tests.swarm_core.builders import make_instrument

FUTURE, OPTION, SHARE = "FUT.A", "OPT.A", "US.A"
INSTRUMENTS = {
    name: make_instrument(name, asset_class=kind)
    for name, kind in ((FUTURE, "future"), (OPTION, "option"), (SHARE, "equity"))
}
LIMITS = RiskLimits(
    permitted_asset_classes=frozenset({"equity", "future", "option"}), short_locate_required=False
)
# Friday the 18th is the last day; the 14th to the 18th of December 2026 are sessions.
ENDS = KnownEnds(last_days={FUTURE: "2026-12-18", OPTION: "2026-12-18", SHARE: "2026-12-18"})


@pytest.mark.parametrize(
    ("session", "left"),
    [
        ("2026-12-11", 5),
        ("2026-12-16", 2),
        ("2026-12-17", 1),
        ("2026-12-18", 0),
        ("2026-12-21", -1),
    ],
)
def test_sessions_of_the_calendar_are_counted(session: str, left: int) -> None:
    assert ENDS.left(INSTRUMENTS, "XNYS", session) == {FUTURE: left, OPTION: left}


def test_what_ends_is_told_and_may_then_only_shrink() -> None:
    limits = RiskLimits()
    far, near, close = (
        ENDS.left(INSTRUMENTS, "XNYS", day) for day in ("2026-12-10", "2026-12-14", "2026-12-17")
    )

    assert ENDS.warnings(far) == []
    assert (
        ENDS.warnings(near)[0]
        == f"{FUTURE}: last trading day 2026-12-18, 4 sessions after this one"
    )
    assert ENDS.limited(limits, near) is limits
    assert ENDS.warnings(close)[0].endswith("1 sessions after this one, it may only be reduced")
    closed = ENDS.limited(limits, close)
    assert [level.name for level in closed.levels] == [FUTURE, OPTION]


def test_the_floor_trades_a_session_in_these_limits() -> None:
    floor = TradingFloor.__new__(TradingFloor)  # its tables are not needed for this
    floor.desk = replace(make_desk(), ends=ENDS)
    floor.rules = SessionRules(
        colony=floor.desk.colony, limits=LIMITS, instruments=INSTRUMENTS, sizing=SizingSettings()
    )

    for session, denied in (("2026-12-14", None), ("2026-12-17", DenialCode.POSITION_VALUE)):
        context = measure(
            book=book_from_events([], "USD", 10**6),
            quotes={n: Quote.from_price(i, 100.0, 1) for n, i in INSTRUMENTS.items()},
            instruments=INSTRUMENTS,
            limits=floor.rules_of(session, floor.desk.colony).limits,
            time_ns=1,
        )
        order = Order(decision_id="d", instrument_id=FUTURE, side=OrderSide.BUY, quantity_lots=10)
        verdict = check_order(order, context)
        assert (verdict.code if isinstance(verdict, Denied) else None) is denied
