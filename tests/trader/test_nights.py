"""A split, a dividend and carry in the trader's book: as the decision job books them."""

import signal
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.brokers.opening import open_simulated_broker
from adapters.stores.event_log_memory import MemoryEventLog
from features.calendars import session_close, session_open
from swarm_core import events as ev
from swarm_core.actions.dividends import CashDividend
from swarm_core.actions.splits import Split
from swarm_core.book import Book
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.named import venue_of
from swarm_core.frictions.venue import Venue, simple_venue
from swarm_core.instruments import MINOR_PER_UNIT, Instrument, to_minor
from swarm_core.market import Bar
from swarm_core.replay import book_digest
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.session import SessionMarket, SessionRules, close_session
from swarm_core.sizing import SizingSettings
from tests.trader.homes import (
    book_of,
    log_of,
    run_to_end,
    trader_process,
    wait_for,
    write_config,
    write_targets,
)

A, B = "US.ANT", "US.BEE"
INSTRUMENT = Instrument(instrument_id=A, asset_class="equity", currency="USD", calendar="XNYS")
FIRST, BEFORE, EX, AFTER = "2020-08-27", "2020-08-28", "2020-08-31", "2020-09-01"
CLOSES = {FIRST: 400.0, BEFORE: 400.0, EX: 101.0, AFTER: 102.0}
INTEREST = {"USD": {"credit": "0.036", "debit": "0.05"}}
ACTIONS = "instrument_id,ex_date,kind,ratio,amount,currency,end_date,detail\n"
SPLIT, DIVIDEND = f"{A},{EX},split,4,,,,\n", f"{A},{EX},dividend,,0.8,USD,,\n"


def _hours(session: str) -> tuple[datetime, datetime]:
    day = date.fromisoformat(session)
    return session_open("XNYS", day), session_close("XNYS", day)


def make_home(
    folder: Path,
    actions: str = SPLIT + DIVIDEND,
    speed: float = 0.0,
    others: tuple[str, ...] = (),
) -> Path:
    """Hold 8 % from the second session on, and half of it from the ex-date on."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["instrument_id,time,open_time,open,high,low,close,volume"]
    for session, close in CLOSES.items():
        opens, closes = _hours(session)
        cells = (A, closes, opens, close - 1, close, close - 1, close, 1_000_000)
        lines.append(",".join(map(str, cells)))
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    (folder / "actions.csv").write_text(ACTIONS + actions)
    decided = [(_hours(FIRST)[1], {A: 0.08}), (_hours(BEFORE)[1], {A: 0.04})]
    write_targets(folder, decided)
    return write_config(
        folder,
        book={"fees": {"commission_bps": 0, "slippage_bps": 0}, "venue": {"interest": INTEREST}},
        trade={
            "feed": {"kind": "replay", "file": "bars.csv", "speed": speed},
            "engine": {"kind": "targets", "file": "targets.yaml"},
            "broker": {"kind": "simulated"},
            "actions": "actions.csv",
            "instruments": [
                {
                    "instrument_id": name,
                    "asset_class": "equity",
                    "currency": "USD",
                    "calendar": "XNYS",
                }
                for name in (A, *others)
            ],
            "watch": {"heartbeat_s": 0.02},
        },
    )


def _as_the_job(orders: list[ev.OrderIntended]) -> Book:
    """Trade the same orders session by session, as the decision job does."""
    venue: Venue = venue_of({"interest": INTEREST}, simple_venue(0.0, 0.0))
    instruments = {A: INSTRUMENT}
    rules = SessionRules(
        colony=ColonySettings(),
        limits=RiskLimits(),
        instruments=instruments,
        sizing=SizingSettings(),
        carry=venue.carry,
    )
    log, book = MemoryEventLog(), Book("USD", to_minor(1_000_000))
    broker = open_simulated_broker(instruments, [], venue=venue)
    dividend = CashDividend(
        action_id="d", instrument_id=A, amount=Decimal("0.8"), currency="USD", pay_ns=0
    )
    split = Split(action_id="s", instrument_id=A, numerator=4, denominator=1)
    for session, close in CLOSES.items():
        opens_ns, closes_ns = (round(t.timestamp()) * 10**9 for t in _hours(session))
        for intended in orders:
            if intended.time_ns < opens_ns:
                log.append([intended])
                log.append(broker.submit(intended.order, intended.time_ns))
        bar = Bar.from_prices(
            INSTRUMENT,
            closes_ns,
            close,
            open_=close - 1,
            high=close,
            low=close - 1,
            volume=1e6,
            open_time_ns=opens_ns,
        )
        market = SessionMarket(
            session=session,
            open_ns=opens_ns,
            close_ns=closes_ns,
            decision_ns=closes_ns,
            bars=(bar,),
            quotes={},
            actions=(dividend, split) if session == EX else (),
        )
        close_session(market, rules, book=book, log=log, broker=broker)
    return book


def test_a_replay_over_a_split_and_a_dividend_ends_as_the_decision_job_does(tmp_path: Path) -> None:
    config = make_home(tmp_path)

    run_to_end(config)

    book, events = book_of(config), [r.event for r in log_of(config)]
    # 80,000 at 400 are 200; half of them is sold after the split: 400 of 800.
    assert book.lots(A) == pytest.approx(400, abs=4)
    assert book.ledger.entitlements[f"dividend:{A}:{EX}"].amount_minor == 160 * MINOR_PER_UNIT
    intended = [e for e in events if isinstance(e, ev.OrderIntended)]
    job = _as_the_job(intended)
    assert book.closed_sessions == job.closed_sessions
    assert (book.lots(A), book.ledger.cash) == (job.lots(A), job.ledger.cash)
    assert any(isinstance(e, ev.OrderAdjusted) for e in events)
    assert any(isinstance(e, ev.CarryCharged) for e in events)
    assert book.trading_state.value == "active"
    assert book.ledger.find_imbalance() is None


def test_a_dividend_with_a_pay_date_is_owed_until_then(tmp_path: Path) -> None:
    """200 x 0.80 = 160 are owed at the opening of the ex-date, and are cash a session later."""
    config = make_home(tmp_path, f"{A},{EX},dividend,,0.8,USD,{AFTER},\n")

    run_to_end(config)

    events = [r.event for r in log_of(config)]
    (accrued,) = (e for e in events if isinstance(e, ev.EntitlementAccrued))
    (paid,) = (e for e in events if isinstance(e, ev.EntitlementPaid))
    assert accrued.amount_minor == 160 * MINOR_PER_UNIT
    assert accrued.time_ns == round(_hours(EX)[0].timestamp()) * 10**9
    assert paid.time_ns == round(_hours(AFTER)[0].timestamp()) * 10**9
    ledger = book_of(config).ledger
    assert ledger.owed["USD"] == 0
    assert ledger.find_imbalance() is None


def test_what_is_halted_is_not_traded_and_what_is_decided_on_it_is_denied(tmp_path: Path) -> None:
    """The sale that works on the ex-date meets a halt and ends; the one decided in it is denied."""
    config = make_home(tmp_path, f"{A},{EX},halt,,,,{AFTER},\n")
    moments = [(FIRST, 0.08), (BEFORE, 0.04), (EX, 0.0)]
    write_targets(tmp_path, [(_hours(session)[1], {A: w}) for session, w in moments])

    run_to_end(config)

    events = [r.event for r in log_of(config)]
    fills = [e for e in events if isinstance(e, ev.OrderFilled)]
    assert [e.time_ns for e in fills] == [round(_hours(BEFORE)[1].timestamp()) * 10**9]
    assert book_of(config).lots(A) == pytest.approx(200, abs=2)
    (denied,) = (e for e in events if isinstance(e, ev.TargetDenied))
    assert denied.code is DenialCode.NO_QUOTE


def test_a_merger_for_cash_and_shares_converts_what_is_held(tmp_path: Path) -> None:
    """200 at 400 become 100 of the other and 200 x 50.00, and the mark is (400 - 50) / 0.5."""
    config = make_home(tmp_path, f"{A},{EX},merger,0.5,50,USD,,{B}\n", others=(B,))
    write_targets(tmp_path, [(_hours(FIRST)[1], {A: 0.08})])

    run_to_end(config)

    book = book_of(config)
    held = book.ledger.action_lots
    assert (held[A], held[B]) == (-200, 100)
    assert (book.lots(A), book.lots(B)) == (0, 100)
    (changed,) = (r.event for r in log_of(config) if isinstance(r.event, ev.HoldingChanged))
    assert changed.cash_minor == 200 * 50 * MINOR_PER_UNIT
    assert changed.to_mark_ticks == 70_000
    assert book.ledger.find_imbalance() is None


def test_the_night_is_booked_before_anything_of_its_session(tmp_path: Path) -> None:
    config = make_home(tmp_path)
    run_to_end(config)

    events = [r.event for r in log_of(config)]
    opened = next(
        n for n, e in enumerate(events) if isinstance(e, ev.SessionOpened) and e.session == EX
    )
    changed = next(n for n, e in enumerate(events) if isinstance(e, ev.HoldingChanged))
    filled = [n for n, e in enumerate(events) if isinstance(e, ev.OrderFilled)]
    assert opened < changed < filled[1]
    assert (
        events[changed].time_ns
        == events[opened].time_ns
        == round(_hours(EX)[0].timestamp()) * 10**9
    )


def test_killed_around_the_night_it_books_it_once(tmp_path: Path) -> None:
    """kill -9 before, at and after the opening of the ex-date: the same book, to the bit."""
    whole = make_home(tmp_path / "whole")
    run_to_end(whole)
    events = [r.event for r in log_of(whole)]
    at = next(n for n, e in enumerate(events, 1) if isinstance(e, ev.HoldingChanged))
    config = make_home(tmp_path / "killed", speed=60_000)
    for sequence in (at - 4, at, at + 3):
        with trader_process(config) as process:
            wait_for(config, lambda told, s=sequence: told["log_sequence"] >= s, process)
            process.send_signal(signal.SIGKILL)
            process.wait()

    make_home(tmp_path / "killed")
    run_to_end(config)

    assert book_digest(book_of(config)) == book_digest(book_of(whole))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (f"{A},{EX},split,0,,,,\n", "ratio of a split must be positive, was 0.0"),
        (f"{A},{EX},rename,2,,,,\n", "kind must be one of"),
        (f"{A},{EX},merger,,,,,\n", "a merger must have an amount, a ratio, or both"),
        (f"{A},{EX},merger,2,,,,US.NONE\n", "detail of a merger with a ratio must be a known"),
        (f"{A},{EX},halt,,,,{EX},\n", "end_date of a halt must lie after its ex_date"),
        (f"US.NONE,{EX},split,2,,,,\n", "must be a known instrument"),
        (f"{A},soon,split,2,,,,\n", "soon"),
        (f"{A},{EX},dividend,,1,USD,later,\n", "end_date must be a day, was later"),
    ],
)
def test_a_bad_action_file_is_one_line_and_nothing_is_traded(
    tmp_path: Path, row: str, told: str
) -> None:
    config = make_home(tmp_path, row)

    with trader_process(config) as process:
        said, _ = process.communicate(timeout=120)

    assert process.returncode != 0
    assert told in said
    assert "Traceback" not in said
    assert not log_of(config)
