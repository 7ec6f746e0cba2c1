"""The scheduled decision, from data to fills, around the last trading day of what it holds."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from assets.parity import compare
from assets.session_rerun import rerun_session
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.lineage import ends_contract
from tests.pipelines.homes import Home, open_home, ports_of
from tests.pipelines.market_files import MAPPING, NAMES, market_rows, write_market

pytestmark = pytest.mark.xdist_group("contract ends")
FUTURES = MAPPING.replace(
    '{id: "US.{symbol}", calendar: XNYS,',
    '{id: "FUT.{symbol}", calendar: XNYS, asset_class: future, multiplier: "1",',
)
IDS = tuple(f"FUT.{name}" for name in NAMES)
FOLLOWING = IDS[
    -1
]  # the one that does not end; the others are rolled into it, or closed where the gate denies that
LAST_DAY, LATER = date(2017, 12, 13), "2017-12-29"
BEFORE = "2017-12-12"  # decided after its close: what it orders fills on the last trading day


def _trade(folder: Path) -> dict[str, Any]:
    """Return `trade:` of a desk whose contracts all end on one day, but one."""
    ends = {name: {"last_trade_date": f"{LAST_DAY:%Y%m%d}"} for name in IDS[:-1]}
    return {
        "feed": {"kind": "replay", "home": "home", "start": "2017-12-01", "end": "2017-12-29"},
        "engine": {"kind": "colony", "home": "home"},
        "broker": {"kind": "simulated"},
        "contracts": ends,
        "contract_end": {"then": "roll", "into": dict.fromkeys(IDS[:3], FOLLOWING)},
    }


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    path = tmp_path_factory.mktemp("ends")
    mapping = write_market(path / "data", market_rows())
    mapping.write_text(FUTURES)
    limits = path / "risk_limits.yaml"
    limits.write_text("permitted_asset_classes: [future]\nshort_locate_required: false\n")
    more = {"trade": _trade(path), "risk_limits": str(limits)}
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch, more=more) as home,
    ):
        home.chain.whole(home.windows)
        yield home


def _events(home: Home) -> list[ev.Event]:
    return [r.event for r in home.workshop.event_log().read()]


def _held(home: Home, session: str) -> dict[str, int]:
    """Return the lots that are held at a session's close."""
    book = book_from_events([], "USD", 10**6)
    for recorded in home.workshop.event_log().read():
        book.apply_all([recorded])
        if isinstance(recorded.event, ev.SessionClosed) and recorded.event.session == session:
            break
    return {name: lots for name in IDS if (lots := book.lots(name))}


def _ended(home: Home) -> dict[str, ev.DecisionTaken]:
    """Return, by contract, the decisions that closed or rolled one."""
    taken = [e for e in _events(home) if isinstance(e, ev.DecisionTaken)]
    own = [e for e in taken if ends_contract(e.lineage.decision_id)]
    assert len({e.instrument_ids[0] for e in own}) == len(own)
    return {e.instrument_ids[0]: e for e in own}


def test_what_is_held_is_closed_or_rolled_on_the_last_trading_day(traded: Home) -> None:
    """Each once, all of it, by the decision before; afterwards nothing of it is bought again."""
    before, after = _held(traded, BEFORE), _held(traded, str(LAST_DAY))
    ending = {name: lots for name, lots in before.items() if name != FOLLOWING}
    assert ending
    assert set(after) <= {FOLLOWING}
    assert set(_held(traded, LATER)) <= {FOLLOWING}
    ended = _ended(traded)
    assert set(ended) == set(ending)
    assert {taken.lineage.session for taken in ended.values()} == {BEFORE}
    assert any(len(taken.instrument_ids) == 2 for taken in ended.values())
    intended = [e.order for e in _events(traded) if isinstance(e, ev.OrderIntended)]
    for name, taken in ended.items():
        orders = [o for o in intended if o.decision_id == taken.lineage.decision_id]
        assert [o.signed_lots for o in orders if o.instrument_id == name] == [-ending[name]]
        moved = [o.signed_lots for o in orders if o.instrument_id == FOLLOWING]
        assert moved == ([ending[name]] if len(taken.instrument_ids) == 2 else [])


def test_it_is_explained_by_the_rule(traded: Home) -> None:
    queries = traded.workshop.lineage()
    decisions = {taken.lineage.decision_id for taken in _ended(traded).values()}
    (first, *_) = (
        e.order.client_order_id
        for e in _events(traded)
        if isinstance(e, ev.OrderIntended) and e.order.decision_id in decisions
    )
    tree = queries.explain_order(first)
    decision = next(node for node in tree.children if node.kind == "decision")
    assert "its last trading day is 2017-12-13, 1 sessions after 2017-12-12" in str(
        decision.facts["why"]
    )


def test_the_session_comes_out_again_to_the_bit(traded: Home) -> None:
    """The colony's decision stands for the session, and what ended is repeated with it."""
    desk: Any = traded.workshop.get("desk")
    taken = next(
        e
        for e in _events(traded)
        if isinstance(e, ev.DecisionTaken) and e.lineage.session == BEFORE
    )
    assert not ends_contract(taken.lineage.decision_id)
    again = rerun_session(desk, ports_of(traded), taken)
    assert compare(again).differences.is_empty()
    ends = [
        sum(isinstance(e, ev.DecisionTaken) for e in side.events)
        for side in (again.recorded, again.again)
    ]
    assert ends == [1 + len(_ended(traded))] * 2
