"""The error numbers that the simulator gives, with the words of the gateway's documentation."""

from enum import Enum


class Code(Enum):
    """A number and its text; what stands in braces is filled in."""

    MAX_RATE = (100, "Max rate of messages per second has been exceeded:max=50 rec={rate}")
    MAX_TICKERS = (101, "Max number of tickers has been reached")
    DUPLICATE_ORDER = (103, "Duplicate order id")
    FILLED = (104, "Can't modify a filled order")
    NO_MATCH = (105, "Order being modified does not match original order")
    PRICE_STEP = (
        110,
        "The price does not conform to the minimum price variation for this contract.",
    )
    NO_ORDER = (135, "Can't find order with id ={order_id}")
    HISTORICAL = (162, "Historical Market Data Service error message:{reason}")
    NO_SCANNER = (365, "No scanner subscription found for ticker id:{ticker}")
    NO_ITEMS = (165, "Historical Market Data Service query message:no items retrieved")
    NO_DEFINITION = (200, "No security definition has been found for the request")
    AMBIGUOUS = (200, "The contract description specified for {symbol} is ambiguous.")
    REJECTED = (201, "Order rejected - reason:{reason}")
    CANCELLED = (202, "Order Canceled - reason:{reason}")
    NO_SUBSCRIPTION = (300, "Can't find EId with tickerId:{ticker}")
    READING = (320, "Error reading request. {reason}")
    VALIDATING = (321, "Error validating request.-'{request}' : cause - {reason}")
    PROCESSING = (322, "Error processing request.{reason}")
    CLIENT_ID = (
        326,
        "Unable to connect as the client id is already in use.  Retry with a unique client id.",
    )
    CLIENT_ZERO = (327, "Only the default client (i.e 0) can auto bind orders")
    NOT_SUBSCRIBED = (
        354,
        "Requested market data is not subscribed.Delayed market data is available.{symbol}/TOP/ALL",
    )
    NO_HISTORICAL = (366, "No historical data query found for ticker id:{ticker}")
    ORDER_TYPE = (387, "Unsupported order type for this exchange and security type.")
    TIME_IN_FORCE = (391, "The time-in-force is invalid.")
    SIZE_ZERO = (434, "The order size cannot be zero")
    UNKNOWN_MESSAGE = (505, "Fatal Error: Unknown message id.")
    UPSTREAM_LOST = (1100, "Connectivity between IBKR and Trader Workstation has been lost.")
    UPSTREAM_BACK_DATA_LOST = (
        1101,
        "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    )
    UPSTREAM_BACK = (
        1102,
        "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
    )
    FARM_DOWN = (2103, "Market data farm connection is broken:{farm}")
    FARM_UP = (2104, "Market data farm connection is OK:{farm}")
    HISTORY_UP = (2106, "HMDS data farm connection is OK:{farm}")
    SECDEF_UP = (2158, "Sec-def data farm connection is OK:{farm}")
    CANCEL_NOT_FOUND = (10147, "OrderId {order_id} that needs to be cancelled is not found.")
    CANCEL_STATE = (
        10148,
        "OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}.",
    )
    DELAYED = (
        10167,
        "Requested market data is not subscribed. Displaying delayed market data.",
    )
    NO_NEWS_FEED = (10276, "News feed is not allowed.")
    NO_FUNDAMENTALS = (10358, "Fundamentals data is not allowed.")
    FRACTION = (10243, "Fractional-sized order cannot be placed via API. Please refer to TWS.")

    def __init__(self, number: int, words: str) -> None:
        self.number, self.words = number, words

    def text(self, **parts: object) -> str:
        return self.words.format(**parts)
