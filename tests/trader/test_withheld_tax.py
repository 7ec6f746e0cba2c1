"""A dividend less the tax that is withheld at its source, or the tax as a line of its own."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.owed_lines import lines_of, owed_lines
from pipelines.settings import read_settings
from pipelines.trade_settings import Account
from pipelines.trading_parts import reconciliation_rules
from swarm_core import events as ev
from swarm_core.book import book_from_events
from swarm_core.findings import FindingKind
from swarm_core.reconciliation import ReconciliationRules, reconcile
from swarm_core.replay import book_digest
from swarm_core.trading_state import TradingState
from tests.swarm_core.builders import CASH, DAY_NS, A
from tests.trader.homes import make_home, run_to_end
from tests.trader.test_nights_at_a_broker import (
    DIVIDEND,
    SPLIT,
    account_of,
    held_overnight,
    pass_night,
)
from trader.desk import TradingDesk

TAXED = ReconciliationRules(withheld_fraction=0.15)


def owing(home: Path, *more: object) -> tuple[TradingDesk, int]:
    """Return a desk on the ex-date of a dividend of half a dollar, and what it is owed."""
    desk, keeper, days = held_overnight(home, DIVIDEND, *more)  # type: ignore[arg-type]
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    return desk, desk.book.ledger.entitlements["paid"].amount_minor


def book(desk: TradingDesk, more_minor: int, rules: ReconciliationRules = TAXED) -> TradingState:
    """Reconcile with an account that has so much more cash; write down what follows."""
    account = account_of(desk, desk.book.lots(A), more_minor)
    found = reconcile(desk.book, account, rules)
    desk.take_in(found.events)
    if found.mode is TradingState.ACTIVE:
        again = reconcile(desk.book, account_of(desk, desk.book.lots(A)), rules)
        assert (again.mode, again.events) == (TradingState.ACTIVE, ())
    assert desk.book.ledger.find_imbalance() is None
    return found.mode


@pytest.mark.parametrize("rounded_minor", [0, 400_000, -400_000])
def test_a_dividend_that_comes_less_tax_is_booked_with_its_tax(
    tmp_path: Path, rounded_minor: int
) -> None:
    """It stopped new risk until a person had looked; the tax lowers income, not deposits."""
    desk, gross = owing(tmp_path)
    ledger = desk.book.ledger
    cash, deposited, income = ledger.cash["USD"], dict(ledger.deposited), ledger.income["USD"]
    net = gross * 85 // 100 + rounded_minor

    assert book(desk, net, ReconciliationRules()) is TradingState.REDUCING
    assert book(desk, net) is TradingState.ACTIVE

    assert ledger.cash["USD"] == cash + net
    assert (ledger.deposited, ledger.owed["USD"]) == (deposited, 0)
    assert ledger.income["USD"] == income - (gross - net)
    told = book_from_events(desk.log.read(), "USD", CASH)
    assert book_digest(told) == book_digest(desk.book)


def test_a_dividend_that_comes_whole_and_its_tax_after_it_are_both_booked(tmp_path: Path) -> None:
    """The broker's statement has two lines, and the account may be read between them."""
    desk, gross = owing(tmp_path)
    cash = desk.book.ledger.cash["USD"]
    tax = -gross * 15 // 100

    assert book(desk, gross) is TradingState.ACTIVE
    assert book(desk, tax, ReconciliationRules()) is TradingState.REDUCING
    assert book(desk, tax) is TradingState.ACTIVE

    assert desk.book.ledger.cash["USD"] == cash + gross + tax
    assert book(desk, tax) is TradingState.REDUCING, "a tax is taken once"


def test_what_was_paid_less_tax_is_not_taxed_again(tmp_path: Path) -> None:
    desk, gross = owing(tmp_path)
    assert book(desk, gross * 85 // 100) is TradingState.ACTIVE
    assert book(desk, -gross * 15 // 100) is TradingState.REDUCING


def test_a_tax_of_long_ago_or_of_another_rate_stops_new_risk(tmp_path: Path) -> None:
    desk, gross = owing(tmp_path)
    assert book(desk, gross * 70 // 100) is TradingState.REDUCING
    assert book(desk, gross) is TradingState.ACTIVE
    late = account_of(desk, desk.book.lots(A), -gross * 15 // 100)
    late = replace(late, time_ns=late.time_ns + 200 * DAY_NS)
    assert reconcile(desk.book, late, TAXED).mode is TradingState.REDUCING


def test_no_tax_is_taken_of_what_a_short_position_pays(tmp_path: Path) -> None:
    desk, gross = owing(tmp_path)
    owed = desk.book.ledger.entitlements["paid"]
    desk.book.ledger.entitlements["paid"] = replace(owed, amount_minor=-gross)
    assert book(desk, -gross * 85 // 100) is TradingState.REDUCING


def test_cash_for_a_fraction_is_no_dividend(tmp_path: Path) -> None:
    """It is an estimate; with a dividend of the same night both are told apart."""
    reverse = replace(SPLIT, numerator=1, denominator=7)
    desk, gross = owing(tmp_path, reverse)
    fraction = desk.book.ledger.entitlements["split:cash"].amount_minor
    rules = replace(TAXED, estimate_fraction_max=0.1)
    account = account_of(desk, desk.book.lots(A), gross * 85 // 100 + fraction * 97 // 100)
    found = reconcile(desk.book, account, rules)
    assert {f.subject for f in found.findings} == {"paid", "split:cash"}
    assert {f.kind for f in found.findings} == {FindingKind.PAYMENT_BOOKED}


def test_what_is_owed_is_shown_until_it_is_paid(tmp_path: Path) -> None:
    reverse = replace(SPLIT, numerator=1, denominator=7)
    desk, gross = owing(tmp_path, reverse)
    fraction = desk.book.ledger.entitlements["split:cash"].amount_minor

    total, *lines = lines_of(desk.book.ledger)

    assert total == f"owed: {(gross + fraction) / 1e8:+,.2f} USD of 2 actions"
    assert any(f"{gross / 1e8:+,.2f} USD of US.A since" in line for line in lines)
    assert any(", an estimate (split:cash)" in line for line in lines)
    desk.note(ev.EntitlementPaid(event_id="p", time_ns=1, action_id="split:cash"))
    assert len(lines_of(desk.book.ledger)) == 2
    book(desk, gross)
    assert lines_of(desk.book.ledger) == []


def test_a_home_without_a_log_is_owed_nothing_and_gets_no_log(tmp_path: Path) -> None:
    settings = read_settings(make_home(tmp_path))
    assert owed_lines(settings) == []
    assert not settings.home.exists()


def test_a_dividend_of_a_replayed_home_is_shown_by_its_log(tmp_path: Path) -> None:
    """The log is read, also where no trader lives: paid later than the replay ends."""
    actions = tmp_path / "actions.csv"
    actions.write_text(
        "instrument_id,ex_date,kind,amount,currency,end_date\n"
        "US.ANT,2024-01-03,dividend,0.5,USD,2024-02-09\n"
    )
    config = make_home(tmp_path, actions="actions.csv")
    run_to_end(config)
    total, line = owed_lines(read_settings(config))
    assert total.endswith("USD of 1 actions")
    assert "of US.ANT since 2024-01-03" in line


def test_the_fraction_withheld_is_a_setting_within_bounds(tmp_path: Path) -> None:
    config = make_home(tmp_path, account={"withheld_fraction": 0.15})
    assert reconciliation_rules(read_settings(config)).withheld_fraction == pytest.approx(0.15)
    assert Account().withheld_fraction == 0
    with pytest.raises(ValidationError, match="less than 1"):
        Account(withheld_fraction=1)


@pytest.mark.parametrize("amount", [Decimal("0.333"), Decimal("0.01")])
def test_an_amount_that_is_no_whole_cent_is_taxed_to_the_cent(
    tmp_path: Path, amount: Decimal
) -> None:
    desk, keeper, days = held_overnight(tmp_path, replace(DIVIDEND, amount=amount))
    pass_night(desk, days)
    keeper.open_if_due(desk.now_ns())
    gross = desk.book.ledger.entitlements["paid"].amount_minor
    cents = round(gross * 0.85 / 10**6) * 10**6
    assert book(desk, cents) is TradingState.ACTIVE
