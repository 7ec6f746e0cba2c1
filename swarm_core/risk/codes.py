"""Every reason for which the gate denies an order; the documentation is generated from here."""

from enum import Enum


class DenialCode(Enum):
    """A reason code; its value is stored in events for ever, so values are never reused."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NO_QUOTE = "no_quote"
    STALE_QUOTE = "stale_quote"
    BAD_REFERENCE = "bad_reference"
    NO_CURRENCY_RATE = "no_currency_rate"
    NO_NET_ASSET_VALUE = "no_net_asset_value"
    NO_VOLUME = "no_volume"
    OUT_OF_RANGE = "out_of_range"
    HALTED = "halted"
    REDUCING_ONLY = "reducing_only"
    RESTRICTED = "restricted"
    NOT_PERMITTED = "not_permitted"
    SESSION_CLOSED = "session_closed"
    SESSION_UNKNOWN = "session_unknown"
    NO_LOCATE = "no_locate"
    DUPLICATE_ORDER = "duplicate_order"
    MESSAGE_RATE = "message_rate"
    THROTTLE = "throttle"
    PRICE_COLLAR = "price_collar"
    STOP_PRICE = "stop_price"
    ORDER_VALUE = "order_value"
    ORDER_VOLUME = "order_volume"
    POSITION_VALUE = "position_value"
    CONCENTRATION = "concentration"
    GROSS_EXPOSURE = "gross_exposure"
    NET_EXPOSURE = "net_exposure"
    SECTOR_EXPOSURE = "sector_exposure"
    CURRENCY_EXPOSURE = "currency_exposure"
    BUYING_POWER = "buying_power"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    MARGIN = "margin"
    BRACKET = "bracket"

    @property
    def explanation(self) -> str:
        """Return one sentence that says what must hold for the order to pass."""
        return _EXPLANATIONS[self]


_EXPLANATIONS = {
    DenialCode.UNKNOWN_INSTRUMENT: "The instrument must be in the instruments table.",
    DenialCode.NO_QUOTE: "There must be a reference quote for the instrument.",
    DenialCode.STALE_QUOTE: (
        "The reference must not be older than `quote_age_s_max`, nor newer than now."
    ),
    DenialCode.BAD_REFERENCE: ("The reference price must be above zero, or below it for a future."),
    DenialCode.NO_CURRENCY_RATE: (
        "There must be a rate from the instrument's currency to the base currency."
    ),
    DenialCode.NO_NET_ASSET_VALUE: (
        "Every position must be marked and the net asset value positive."
    ),
    DenialCode.NO_VOLUME: "A daily volume must be known where `volume_required` is set.",
    DenialCode.OUT_OF_RANGE: "The order's value must fit the exact 64-bit range of the gate.",
    DenialCode.HALTED: "Trading must not be halted; only a person lifts a halt.",
    DenialCode.REDUCING_ONLY: (
        "While trading is REDUCING, an order must make the position smaller."
    ),
    DenialCode.RESTRICTED: "The instrument must not be on the restricted list.",
    DenialCode.NOT_PERMITTED: "The asset class must be among the trading permissions.",
    DenialCode.SESSION_CLOSED: "The session must be open, unless the order waits for an auction.",
    DenialCode.SESSION_UNKNOWN: (
        "It must be known whether the session is open, unless the order waits."
    ),
    DenialCode.NO_LOCATE: "A short sale must have a located borrow.",
    DenialCode.DUPLICATE_ORDER: (
        "The client order id must not be live or done, nor a like order be working."
    ),
    DenialCode.MESSAGE_RATE: (
        "Messages, cancels included, must stay within `messages_max` per window."
    ),
    DenialCode.THROTTLE: (
        "Repeats in one instrument must stay within `repeats_max`; a person re-enables it."
    ),
    DenialCode.PRICE_COLLAR: (
        "The limit price must be within `collar_fraction_max` of the reference, or of its stop."
    ),
    DenialCode.STOP_PRICE: (
        "A stop must lie beyond the reference (buy above, sell below), or reduce the position."
    ),
    DenialCode.ORDER_VALUE: (
        "The order's value must be within `order_value_max` and its share of NAV."
    ),
    DenialCode.ORDER_VOLUME: (
        "The order must be within `order_volume_fraction_max` of a day's volume."
    ),
    DenialCode.POSITION_VALUE: (
        "The position with open orders must be within `position_value_max`."
    ),
    DenialCode.CONCENTRATION: "The position must be within `position_fraction_max` of NAV.",
    DenialCode.GROSS_EXPOSURE: (
        "Gross exposure with open orders must be within `gross_fraction_max` of NAV."
    ),
    DenialCode.NET_EXPOSURE: (
        "Net exposure with open orders must be within `net_fraction_max` of NAV."
    ),
    DenialCode.SECTOR_EXPOSURE: (
        "The sector's gross exposure must be within `sector_fraction_max` of NAV."
    ),
    DenialCode.CURRENCY_EXPOSURE: (
        "A foreign currency's gross must be within `currency_fraction_max` of NAV."
    ),
    DenialCode.BUYING_POWER: (
        "Gross exposure must be within `leverage_max` times NAV less open orders."
    ),
    DenialCode.DAILY_LOSS: (
        "The day's loss must be within `daily_loss_fraction_max`, or the order reduce risk."
    ),
    DenialCode.MARGIN: (
        "The broker's own what-if must leave equity for the margin, where it offers one."
    ),
    DenialCode.BRACKET: (
        "An exit must close no more than is held or being bought, and leaves with its entry."
    ),
    DenialCode.DRAWDOWN: (
        "The fall from the peak must be within `drawdown_fraction_max`, or risk be reduced."
    ),
}
