"""Which request goes to which handler."""

from gateway_simulator import (
    requests_account,
    requests_contracts,
    requests_orders,
    requests_session,
)
from gateway_simulator.message_ids import In
from gateway_simulator.session import Handler

HANDLERS: dict[In, Handler] = {
    **requests_session.HANDLERS,
    **requests_contracts.HANDLERS,
    **requests_orders.HANDLERS,
    **requests_account.HANDLERS,
}
