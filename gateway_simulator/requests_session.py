"""Requests about the connection itself: start, ids, time, accounts."""

from gateway_simulator.error_codes import Code
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import NO_REQUEST, Handler, Session
from gateway_simulator.wire import Fields

_FARMS = (
    (Code.FARM_UP, "usfarm"),
    (Code.FARM_UP, "cashfarm"),
    (Code.HISTORY_UP, "ushmds"),
    (Code.SECDEF_UP, "secdefnj"),
)


def start_api(session: Session, fields: Fields) -> None:
    """Take the client in: its accounts, its next order id, and how the farms are."""
    fields.text()  # version
    client_id = fields.whole()
    if session.is_started:
        return
    gateway = session.gateway
    other = gateway.find_session(client_id)
    if other is not None and other is not session:
        session.error(NO_REQUEST, Code.CLIENT_ID)
        return  # the session ends: it has no client id
    session.client_id = client_id
    gateway.report(f"client {client_id} came, version {session.version}")
    session.send(Out.MANAGED_ACCOUNTS, 1, ",".join(gateway.settings.accounts))
    session.send(Out.NEXT_VALID_ID, 1, gateway.next_order_id(client_id))
    for code, farm in _FARMS:
        session.error(NO_REQUEST, code, farm=farm)
    if not gateway.upstream:
        session.error(NO_REQUEST, Code.UPSTREAM_LOST)
    gateway.faults.count("connect")


def req_ids(session: Session, _: Fields) -> None:
    client_id = session.client_id or 0
    session.send(Out.NEXT_VALID_ID, 1, session.gateway.next_order_id(client_id))


def req_current_time(session: Session, _: Fields) -> None:
    session.send(Out.CURRENT_TIME, 1, session.gateway.clock.now_s())


def req_managed_accounts(session: Session, _: Fields) -> None:
    session.send(Out.MANAGED_ACCOUNTS, 1, ",".join(session.gateway.settings.accounts))


def req_family_codes(session: Session, _: Fields) -> None:
    accounts = session.gateway.settings.accounts
    session.send(
        Out.FAMILY_CODES, len(accounts), *(text for account in accounts for text in (account, ""))
    )


def req_user_info(session: Session, fields: Fields) -> None:
    session.send(Out.USER_INFO, fields.whole(), "")


def req_soft_dollar_tiers(session: Session, fields: Fields) -> None:
    session.send(Out.SOFT_DOLLAR_TIERS, fields.whole(), 0)


def nothing(_: Session, __: Fields) -> None:
    """Take a request that has no answer."""


HANDLERS: dict[In, Handler] = {
    In.START_API: start_api,
    In.REQ_IDS: req_ids,
    In.REQ_CURRENT_TIME: req_current_time,
    In.REQ_MANAGED_ACCOUNTS: req_managed_accounts,
    In.REQ_FAMILY_CODES: req_family_codes,
    In.REQ_USER_INFO: req_user_info,
    In.REQ_SOFT_DOLLAR_TIERS: req_soft_dollar_tiers,
    In.SET_SERVER_LOG_LEVEL: nothing,
    In.REQ_NEWS_BULLETINS: nothing,
    In.CANCEL_NEWS_BULLETINS: nothing,
}
