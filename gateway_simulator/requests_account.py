"""Requests about the account: values, positions, summaries, profit and loss."""

import asyncio
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal

from gateway_simulator.clock import local_of
from gateway_simulator.error_codes import Code
from gateway_simulator.ledger import Account, Valuation, value
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Field, Fields

_EVERY_S = 1.0  # how often a subscription looks whether something changed
_CENT = Decimal("0.01")


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _value(session: Session, account: Account) -> Valuation:
    venue = session.gateway.venue
    return value(account, venue.prices(account), venue.rates(account))


def _totals(session: Session, account: Account) -> dict[str, Decimal]:
    """Return the values of an account that stand in its base currency."""
    worth = _value(session, account)
    return {
        "AvailableFunds": worth.available,
        "BuyingPower": worth.buying_power,
        "EquityWithLoanValue": worth.equity_with_loan,
        "ExcessLiquidity": worth.equity_with_loan - worth.maintenance,
        "FullInitMarginReq": worth.initial,
        "FullMaintMarginReq": worth.maintenance,
        "GrossPositionValue": worth.gross,
        "InitMarginReq": worth.initial,
        "MaintMarginReq": worth.maintenance,
        "NetLiquidation": worth.net_liquidation,
        "RealizedPnL": worth.realized,
        "TotalCashValue": worth.cash,
        "UnrealizedPnL": worth.unrealized,
    }


def values_of(session: Session, account: Account) -> list[tuple[str, str, str]]:
    """Return every value of an account as name, text and currency; cash to its last digit."""
    base = account.base
    rows = [("AccountCode", account.name, ""), ("AccountReady", "true", "")]
    rows += [("AccountType", "INDIVIDUAL", ""), ("Currency", base, base)]
    rows += [(k, str(_money(v)), base) for k, v in _totals(session, account).items()]
    for currency, amount in sorted(account.cash.items()):
        rate = session.gateway.venue.rate(currency, base)
        rows += [("CashBalance", f"{amount:f}", currency), ("ExchangeRate", f"{rate:f}", currency)]
    total = _value(session, account).cash
    return [*rows, ("CashBalance", str(_money(total)), "BASE")]


def _find_account(session: Session, name: str) -> Account | None:
    accounts = session.gateway.venue.accounts
    return accounts.get(name) if name else next(iter(accounts.values()))


def req_account_updates(session: Session, fields: Fields) -> None:
    """Begin or end to tell one account: its values, its positions, the time, the end."""
    fields.text()  # version
    subscribe, name = fields.flag(), fields.text(default="")
    session.stop_task("account", 0)
    if not subscribe:
        return
    account = _find_account(session, name)
    if account is None:
        session.error(-1, Code.VALIDATING, request="cb", reason="The account code is invalid.")
        return

    def tell() -> None:
        for key, text, currency in values_of(session, account):
            session.send(Out.ACCOUNT_VALUE, 2, key, text, currency, account.name)
        _tell_portfolio(session, account)
        now = local_of(session.gateway.clock.now_ns())
        session.send(Out.ACCOUNT_TIME, 1, f"{now:%H:%M}")
        session.send(Out.ACCOUNT_DOWNLOAD_END, 1, account.name)

    tell()
    session.start_task("account", 0, asyncio.create_task(_on_change([account], tell)))


def _tell_portfolio(session: Session, account: Account) -> None:
    prices = session.gateway.venue.prices(account)
    for held in account.holdings.values():
        listing = held.listing
        price = prices.get(listing.con_id, held.average)
        worth = held.quantity * price * listing.unit
        gain = held.quantity * (price - held.average) * listing.unit
        contract = listing.short_fields()
        contract[7] = listing.primary_exchange or listing.exchange
        session.send(
            Out.PORTFOLIO,
            8,
            *contract,
            held.quantity,
            price,
            worth,
            held.average * listing.unit,
            _money(gain),
            _money(held.realized),
            account.name,
        )


async def _on_change(accounts: Iterable[Account], tell: Callable[[], None]) -> None:
    """Tell again whenever cash or positions have changed."""
    watched = list(accounts)

    def state() -> object:
        return [
            (dict(account.cash), {i: h.quantity for i, h in account.holdings.items()})
            for account in watched
        ]

    before = state()
    while True:
        await asyncio.sleep(_EVERY_S)
        if state() != before:
            before = state()
            tell()


def _position_rows(session: Session, only: str = "") -> list[tuple[str, list[Field]]]:
    rows: list[tuple[str, list[Field]]] = []
    for account in session.gateway.venue.accounts.values():
        if only not in ("", "All", account.name):
            continue
        for held in account.holdings.values():
            cost = held.average * held.listing.unit
            contract = held.listing.short_fields()
            contract[7] = ""  # a position belongs to no exchange
            rows.append((account.name, [*contract, held.quantity, cost]))
    return rows


def req_positions(session: Session, _: Fields) -> None:
    """Tell all positions, and each again when it changes."""

    def tell() -> None:
        for name, row in _position_rows(session):
            session.send(Out.POSITION, 3, name, *row)

    tell()
    session.send(Out.POSITION_END, 1)
    accounts = session.gateway.venue.accounts.values()
    session.start_task("positions", 0, asyncio.create_task(_on_change(accounts, tell)))


def cancel_positions(session: Session, _: Fields) -> None:
    session.stop_task("positions", 0)


def req_positions_multi(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id, account, model = fields.whole(), fields.text(), fields.text()
    for name, row in _position_rows(session, account):
        session.send(Out.POSITION_MULTI, 1, request_id, name, *row, model)
    session.send(Out.POSITION_MULTI_END, 1, request_id)


def req_account_updates_multi(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id, name, model = fields.whole(), fields.text(), fields.text()
    account = _find_account(session, name)
    for key, text, currency in values_of(session, account) if account else ():
        row = (name, model, key, text, currency)
        session.send(Out.ACCOUNT_UPDATE_MULTI, 1, request_id, *row)
    session.send(Out.ACCOUNT_UPDATE_MULTI_END, 1, request_id)


def _ledger(session: Session, account: Account, tag: str) -> list[tuple[str, str, str]]:
    """Return cash and rate of the base currency, of one (`:EUR`), or of every one (`:ALL`)."""
    asked = tag.partition(":")[2] or account.base
    told = [row for row in values_of(session, account) if row[0] in ("CashBalance", "ExchangeRate")]
    return [row for row in told if asked in (row[2], "ALL")]


def req_account_summary(session: Session, fields: Fields) -> None:
    """Tell the values asked for, of every account; `$LEDGER` tells cash and rates by currency."""
    fields.text()  # version
    request_id, _, tags = fields.whole(), fields.text(), fields.text().split(",")

    def tell() -> None:
        for account in session.gateway.venue.accounts.values():
            totals = _totals(session, account)
            for tag in tags:
                if tag.startswith("$LEDGER"):
                    for row in _ledger(session, account, tag):
                        session.send(Out.ACCOUNT_SUMMARY, 1, request_id, account.name, *row)
                elif tag in totals:
                    row = (account.name, tag, str(_money(totals[tag])), account.base)
                    session.send(Out.ACCOUNT_SUMMARY, 1, request_id, *row)
                elif tag == "AccountType":
                    row = (account.name, tag, "INDIVIDUAL", "")
                    session.send(Out.ACCOUNT_SUMMARY, 1, request_id, *row)

    tell()
    session.send(Out.ACCOUNT_SUMMARY_END, 1, request_id)
    accounts = session.gateway.venue.accounts.values()
    session.start_task("summary", request_id, asyncio.create_task(_on_change(accounts, tell)))


def req_pnl(session: Session, fields: Fields) -> None:
    """Tell profit and loss of an account, once a second."""
    request_id, name = fields.whole(), fields.text()
    account = _find_account(session, name)
    if account is None:
        session.error(request_id, Code.VALIDATING, request="cf", reason="Invalid account code")
        return

    def tell() -> None:
        worth = _value(session, account)
        daily = worth.net_liquidation - account.start_cash
        session.send(Out.PNL, request_id, _money(daily), worth.unrealized, worth.realized)

    session.start_task("pnl", request_id, asyncio.create_task(_every_second(tell)))


def req_pnl_single(session: Session, fields: Fields) -> None:
    request_id, name, _, con_id = fields.whole(), fields.text(), fields.text(), fields.whole()
    account = _find_account(session, name)
    held = account.holdings.get(con_id) if account else None
    if held is None:
        session.error(request_id, Code.VALIDATING, request="cg", reason="No such position")
        return

    def tell() -> None:
        price = session.gateway.market.quote(held.listing).last
        unit = held.listing.unit
        gain = held.quantity * (price - held.average) * unit
        worth = held.quantity * price * unit
        row = (held.quantity, gain + held.realized, gain, held.realized, worth)
        session.send(Out.PNL_SINGLE, request_id, *row)

    session.start_task("pnl_single", request_id, asyncio.create_task(_every_second(tell)))


async def _every_second(tell: Callable[[], None]) -> None:
    while True:
        tell()
        await asyncio.sleep(_EVERY_S)


def _cancels(kind: str, *, versioned: bool) -> Handler:
    def cancel(session: Session, fields: Fields) -> None:
        if versioned:
            fields.text()
        session.stop_task(kind, fields.whole())

    return cancel


HANDLERS: dict[In, Handler] = {
    In.REQ_ACCOUNT_UPDATES: req_account_updates,
    In.REQ_POSITIONS: req_positions,
    In.CANCEL_POSITIONS: cancel_positions,
    In.REQ_POSITIONS_MULTI: req_positions_multi,
    In.CANCEL_POSITIONS_MULTI: _cancels("positions_multi", versioned=True),
    In.REQ_ACCOUNT_UPDATES_MULTI: req_account_updates_multi,
    In.CANCEL_ACCOUNT_UPDATES_MULTI: _cancels("account_multi", versioned=True),
    In.REQ_ACCOUNT_SUMMARY: req_account_summary,
    In.CANCEL_ACCOUNT_SUMMARY: _cancels("summary", versioned=True),
    In.REQ_PNL: req_pnl,
    In.CANCEL_PNL: _cancels("pnl", versioned=False),
    In.REQ_PNL_SINGLE: req_pnl_single,
    In.CANCEL_PNL_SINGLE: _cancels("pnl_single", versioned=False),
}
