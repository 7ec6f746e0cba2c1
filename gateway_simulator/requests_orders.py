"""Requests about orders: place, cancel, what is open, what has ended, what was executed."""

from gateway_simulator import order_messages
from gateway_simulator.clock import parse_date_time
from gateway_simulator.error_codes import Code
from gateway_simulator.message_ids import In, Out
from gateway_simulator.order_request import read_order
from gateway_simulator.orders import Execution, LiveOrder
from gateway_simulator.session import NO_REQUEST, Handler, Session
from gateway_simulator.wire import Fields

_SIDES = {"BUY": "BOT", "SELL": "SLD", "BOT": "BOT", "SLD": "SLD"}


def place_order(session: Session, fields: Fields) -> None:
    """Take an order, change one, or answer what it would do."""
    if session.version < 145:
        fields.text()
    request = read_order(fields, session.version)
    gateway, client_id = session.gateway, session.client_id or 0
    found = gateway.find_listings(request.contract)
    if len(found) != 1:
        code = Code.AMBIGUOUS if found else Code.NO_DEFINITION
        session.error(request.order_id, code, symbol=request.contract.symbol)
        return
    if request.flag("whatIf"):
        told = gateway.venue.what_if(client_id, request, found[0])
        if told is not None:
            session.send(*order_messages.open_order(told[0], session.version, told[1]))
        return
    gateway.use_order_id(client_id, request.order_id)
    gateway.venue.place(client_id, request, found[0])


def cancel_order(session: Session, fields: Fields) -> None:
    fields.text()  # version
    order_id, client_id = fields.whole(), session.client_id or 0
    order = session.gateway.venue.find(client_id, order_id)
    if order is None:
        session.error(order_id, Code.CANCEL_NOT_FOUND, order_id=order_id)
    elif order.status.is_final:
        state = order.status.value
        session.error(order_id, Code.CANCEL_STATE, order_id=order_id, state=state)
    else:
        session.gateway.venue.cancel(order)


def global_cancel(session: Session, _: Fields) -> None:
    session.gateway.venue.cancel_all()


def _show(session: Session, orders: list[LiveOrder]) -> None:
    for order in orders:
        session.send(*order_messages.open_order(order, session.version))
        session.send(*order_messages.order_status(order))
    session.send(Out.OPEN_ORDER_END, 1)


def req_open_orders(session: Session, _: Fields) -> None:
    """Show what this client has placed; client 0 sees what was placed by hand as well."""
    working = session.gateway.venue.working
    _show(session, [o for o in working if o.client_id == session.client_id])


def req_all_open_orders(session: Session, _: Fields) -> None:
    _show(session, session.gateway.venue.working)


def req_auto_open_orders(session: Session, fields: Fields) -> None:
    fields.text()  # version
    if session.client_id != 0:
        session.error(NO_REQUEST, Code.CLIENT_ZERO)
        return
    session.binds_by_itself = fields.flag()


def req_completed_orders(session: Session, fields: Fields) -> None:
    only_api = fields.flag()
    for order in session.gateway.venue.orders:
        if order.status.is_final and (order.order_id > 0 or not only_api):
            session.send(*order_messages.completed_order(order, session.version))
    session.send(Out.COMPLETED_ORDERS_END)


def req_executions(session: Session, fields: Fields) -> None:
    """Tell the executions that a filter lets through, then what they cost."""
    fields.text()  # version
    request_id = fields.whole()
    client_id, account, since = fields.whole(), fields.text(), fields.text()
    symbol, kind, exchange, side = (fields.text().upper() for _ in range(4))
    since_ns = parse_date_time(since, 0)

    def passes(done: Execution) -> bool:
        return all(
            (
                not client_id or done.client_id == client_id,
                account in ("", done.order.account),
                done.time_ns >= since_ns,
                symbol in ("", done.listing.symbol),
                kind in ("", done.listing.sec_type),
                exchange in ("", "SMART", done.exchange),
                _SIDES.get(side, done.side) == done.side,
            )
        )

    venue = session.gateway.venue
    told = [done for done in venue.executions if passes(done)]
    for done in told:
        session.send(*order_messages.execution(done, request_id))
    for done in told:
        session.send(*order_messages.commission(venue.commissions[done.exec_id]))
    session.send(Out.EXECUTION_END, 1, request_id)


HANDLERS: dict[In, Handler] = {
    In.PLACE_ORDER: place_order,
    In.CANCEL_ORDER: cancel_order,
    In.REQ_GLOBAL_CANCEL: global_cancel,
    In.REQ_OPEN_ORDERS: req_open_orders,
    In.REQ_ALL_OPEN_ORDERS: req_all_open_orders,
    In.REQ_AUTO_OPEN_ORDERS: req_auto_open_orders,
    In.REQ_COMPLETED_ORDERS: req_completed_orders,
    In.REQ_EXECUTIONS: req_executions,
}
