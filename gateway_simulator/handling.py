"""Which request goes to which handler."""

from gateway_simulator import (
    requests_account,
    requests_contracts,
    requests_history,
    requests_market,
    requests_news,
    requests_orders,
    requests_pricing,
    requests_refused,
    requests_screens,
    requests_session,
)
from gateway_simulator.message_ids import In
from gateway_simulator.session import Handler

HANDLERS: dict[In, Handler] = {
    **requests_session.HANDLERS,
    **requests_contracts.HANDLERS,
    **requests_orders.HANDLERS,
    **requests_account.HANDLERS,
    **requests_market.HANDLERS,
    **requests_history.HANDLERS,
    **requests_news.HANDLERS,
    **requests_pricing.HANDLERS,
    **requests_screens.HANDLERS,
    **requests_refused.HANDLERS,
}
