"""What is listed at the simulated exchanges, and how a client asks for it."""

from dataclasses import dataclass, replace
from decimal import Decimal

from gateway_simulator.wire import Field, Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A contract as a client names it; what is empty may be anything."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


_ALIASES = {"ISLAND": "NASDAQ"}


def read_asked(fields: Fields, *, has_primary: bool = True) -> Asked:
    """Read the twelve fields that name a contract (eleven where there is no primary exchange)."""
    return Asked(
        con_id=fields.whole(),
        symbol=fields.text().upper(),
        sec_type=fields.text().upper(),
        last_trade_date=fields.text(),
        strike=fields.number() or None,
        right={"CALL": "C", "PUT": "P"}.get(right := fields.text().upper(), right),
        multiplier=fields.text(),
        exchange=_ALIASES.get(exchange := fields.text().upper(), exchange),
        primary_exchange=fields.text().upper() if has_primary else "",
        currency=fields.text().upper(),
        local_symbol=fields.text(),
        trading_class=fields.text(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One contract that can be traded or watched; prices in `currency`, dates as YYYYMMDD."""

    con_id: int
    symbol: str
    sec_type: str
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = ""
    exchanges: tuple[str, ...] = ()
    local_symbol: str = ""
    trading_class: str = ""
    last_trade_date: str = ""
    strike: Decimal = Decimal(0)
    right: str = ""
    multiplier: str = ""
    min_tick: Decimal = Decimal("0.01")
    size_step: Decimal = Decimal(1)
    long_name: str = ""
    stock_type: str = ""
    industry: str = ""
    category: str = ""
    under_con_id: int = 0
    under_symbol: str = ""
    under_sec_type: str = ""
    start_price: Decimal = Decimal(100)
    volatility: float = 0.3  # of a year, as a fraction
    has_data: bool = True  # whether the account is subscribed to its market data

    def __post_init__(self) -> None:
        if self.con_id <= 0:
            raise ValueError(f"con_id of {self.symbol} must be positive, was {self.con_id}")
        if self.min_tick <= 0 or self.size_step <= 0 or self.start_price <= 0:
            raise ValueError(f"min_tick, size_step and start_price of {self.symbol} must be > 0")

    @property
    def unit(self) -> Decimal:
        """Return what one contract moves when its price moves by one."""
        return Decimal(self.multiplier or 1)

    @property
    def is_tradable(self) -> bool:
        return self.sec_type not in ("IND", "CONTFUT")

    @property
    def market_rule_id(self) -> int:
        """Return the id of its price steps: 26 for a cent, as at the real gateway."""
        return 26 if self.min_tick == Decimal("0.01") else int(self.min_tick * 10**6) + 1_000

    def fits(self, asked: Asked) -> bool:
        """Tell whether the listing answers to a description."""
        if asked.con_id:
            return asked.con_id == self.con_id and asked.sec_type in ("", self.sec_type)
        named = asked.symbol or asked.local_symbol
        return bool(named) and all(
            (
                asked.symbol in ("", self.symbol),
                asked.sec_type == self.sec_type,
                asked.local_symbol in ("", self.local_symbol),
                self.last_trade_date.startswith(asked.last_trade_date),
                not asked.strike or asked.strike == self.strike,
                asked.right in ("", "0", "?", self.right),
                asked.multiplier in ("", self.multiplier),
                asked.currency in ("", self.currency),
                asked.trading_class in ("", self.trading_class),
                asked.exchange in ("", *self.routes),
                asked.primary_exchange in ("", *self.routes),
            )
        )

    @property
    def routes(self) -> tuple[str, ...]:
        return (self.exchange, self.primary_exchange, *self.exchanges)

    def routed(self, exchange: str) -> "Listing":
        """Return the listing as seen from one of its exchanges."""
        return replace(self, exchange=exchange) if exchange in self.routes and exchange else self

    def short_fields(self) -> list[Field]:
        """Return the eleven fields by which orders, executions and positions name it."""
        return [
            self.con_id,
            self.symbol,
            self.sec_type,
            self.last_trade_date,
            self.strike,
            self.right,
            self.multiplier,
            self.exchange,
            self.currency,
            self.local_symbol,
            self.trading_class,
        ]
