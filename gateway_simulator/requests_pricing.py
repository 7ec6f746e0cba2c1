"""Requests for what an option would cost, and for what a price says of its volatility."""

from gateway_simulator.error_codes import Code
from gateway_simulator.greeks import Greeks, black_scholes, implied_volatility
from gateway_simulator.listings import Listing, read_asked
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Field, Fields

_CUSTOM_TICK = 53  # the tick under which the gateway answers both


class _Question:
    """One such request: its number, the option, what is given, and the price of the underlying."""

    def __init__(self, session: Session, fields: Fields) -> None:
        fields.text()  # version
        self.session, self.request_id = session, fields.whole()
        self._asked = read_asked(fields)
        self.given, self.spot = float(fields.number() or 0), float(fields.number() or 0)
        self.option: Listing | None = None

    def find(self) -> Listing | None:
        """Return the option; None, and an error is told, where the request cannot be answered."""
        found = self.session.gateway.find_listings(self._asked)
        if len(found) != 1 or found[0].sec_type != "OPT":
            self.session.error(self.request_id, Code.NO_DEFINITION)
            return None
        if self.given <= 0 or self.spot <= 0:
            self.refuse("Both numbers of the request must be above zero.")
            return None
        self.option = found[0]
        return self.option

    def refuse(self, reason: str) -> None:
        self.session.error(self.request_id, Code.VALIDATING, request="b1", reason=reason)

    def years(self, option: Listing) -> float:
        gateway = self.session.gateway
        return gateway.market.years_left(option, gateway.clock.now_ns() / 1e9)

    def answer(self, volatility: float, greeks: Greeks) -> None:
        version = self.session.version
        head: list[Field] = [Out.TICK_OPTION, *([] if version >= 156 else [6])]
        head += [self.request_id, _CUSTOM_TICK, *([1] if version >= 156 else [])]
        values = (volatility, greeks.delta, greeks.price, 0.0, greeks.gamma, greeks.vega)
        self.session.send(*head, *values, greeks.theta, self.spot)


def calculate_option_price(session: Session, fields: Fields) -> None:
    """Tell price and greeks of an option at a volatility and a price of its underlying."""
    question = _Question(session, fields)
    option = question.find()
    if option is not None:
        years, strike = question.years(option), float(option.strike)
        greeks = black_scholes(question.spot, strike, years, question.given, option.right)
        question.answer(question.given, greeks)


def calculate_implied_volatility(session: Session, fields: Fields) -> None:
    """Tell at which volatility an option has a price, with the greeks there."""
    question = _Question(session, fields)
    option = question.find()
    if option is None:
        return
    years, strike = question.years(option), float(option.strike)
    found = implied_volatility(question.given, question.spot, strike, years, option.right)
    if found is None:
        question.refuse(f"No volatility gives the price {question.given}.")
        return
    question.answer(found, black_scholes(question.spot, strike, years, found, option.right))


def cancel_calculation(_: Session, fields: Fields) -> None:
    fields.text()  # version
    fields.whole()


HANDLERS: dict[In, Handler] = {
    In.CALCULATE_IMPLIED_VOLATILITY: calculate_implied_volatility,
    In.CALCULATE_OPTION_PRICE: calculate_option_price,
    In.CANCEL_IMPLIED_VOLATILITY: cancel_calculation,
    In.CANCEL_OPTION_PRICE: cancel_calculation,
}
