"""What an account holds, owes and may do: cash by currency, positions, commissions, margin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from gateway_simulator.listings import Listing
from gateway_simulator.orders import Commission, Execution, LiveOrder, Margin

_CENT = Decimal("0.01")
_ZERO = Decimal(0)
# Initial and maintenance margin as parts of what is held, and for shorts.
_MARGINS = {
    "STK": (Decimal("0.5"), Decimal("0.25")),
    "OPT": (Decimal(1), Decimal(1)),
    "FUT": (Decimal("0.1"), Decimal("0.08")),
    "CASH": (Decimal("0.03"), Decimal("0.03")),
    "CRYPTO": (Decimal(1), Decimal(1)),
    "CFD": (Decimal("0.2"), Decimal("0.2")),
}


@dataclass
class Holding:
    """A position: how much, what it cost on average, and what was earned by closing parts.

    `settled` is the average price up to which a future's profit is in the account's cash.
    """

    listing: Listing
    quantity: Decimal = _ZERO
    average: Decimal = _ZERO
    realized: Decimal = _ZERO
    settled: Decimal = _ZERO

    def unsettled(self, price: Decimal) -> Decimal:
        """Return the profit of a future since its last settlement, which is in no cash yet."""
        return self.quantity * (price - self.settled) * self.listing.unit


@dataclass
class Account:
    """One account; money moves at every execution, and its commission when it is charged."""

    name: str
    base: str = "USD"
    start_cash: Decimal = Decimal(1_000_000)
    cash: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    holdings: dict[int, Holding] = field(default_factory=dict[int, Holding])

    def __post_init__(self) -> None:
        self.cash.setdefault(self.base, self.start_cash)

    def book(self, done: Execution) -> Decimal | None:
        """Take an execution in; return the profit that it took, None where it only opened."""
        listing = done.listing
        signed = done.quantity if done.side == "BOT" else -done.quantity
        if listing.sec_type == "CASH":
            self.move(listing.symbol, signed)
        if listing.sec_type != "FUT":
            self.move(listing.currency, -signed * done.price * listing.unit)
        holding = self.holdings.setdefault(listing.con_id, Holding(listing))
        unsettled = holding.unsettled(done.price)
        realized = _close(holding, signed, done.price)
        if listing.sec_type == "FUT":  # it pays what it earned, not its price
            self.move(listing.currency, unsettled - holding.unsettled(done.price))
        return realized

    def settle(self, prices: Mapping[int, Decimal]) -> None:
        """Pay the profit of every future up to its price of the day; it counts from there on."""
        for con_id, held in self.holdings.items():
            if held.listing.sec_type == "FUT" and held.quantity:
                self.move(held.listing.currency, held.unsettled(prices[con_id]))
                held.settled = prices[con_id]

    def receive(self, listing: Listing, quantity: Decimal) -> None:
        """Take in shares without a trade (negative: give them away); they cost nothing."""
        _close(self.holdings.setdefault(listing.con_id, Holding(listing)), quantity, _ZERO)

    def charge(self, commission: Commission) -> None:
        self.move(commission.currency, -commission.amount)

    def move(self, currency: str, amount: Decimal) -> None:
        """Take in cash without a trade, e.g. a deposit; negative where it goes out."""
        self.cash[currency] = self.cash.get(currency, _ZERO) + amount


def _close(holding: Holding, signed: Decimal, price: Decimal) -> Decimal | None:
    before, unit = holding.quantity, holding.listing.unit
    after = before + signed
    realized: Decimal | None = None
    if before * signed < 0:
        closed = min(abs(signed), abs(before))
        sign = 1 if before > 0 else -1
        realized = closed * sign * (price - holding.average) * unit
        holding.realized += realized
        if after * before < 0:
            holding.average = holding.settled = price  # what is left was opened at this price
    else:
        for name in ("average", "settled"):
            paid = abs(before) * getattr(holding, name) + abs(signed) * price
            setattr(holding, name, paid / abs(after))
    holding.quantity = after
    if not after:
        holding.average = holding.settled = _ZERO
    return realized


def commission_of(listing: Listing, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a fill costs, as the broker's list has it (fixed plan), to the cent."""
    value = quantity * price * listing.unit
    match listing.sec_type:
        case "OPT":
            amount = max(Decimal("0.65") * quantity, Decimal(1))
        case "FUT":
            amount = Decimal("2.25") * quantity
        case "CASH":
            amount = max(value * Decimal("0.00002"), Decimal(2))
        case "CRYPTO":
            amount = max(value * Decimal("0.0018"), Decimal("1.75"))
        case _:
            most = max(value * Decimal("0.01"), _CENT)
            amount = min(max(Decimal("0.005") * quantity, Decimal(1)), most)
    return amount.quantize(_CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Valuation:
    """An account at the prices of a moment, in its base currency."""

    cash: Decimal
    stock_value: Decimal
    option_value: Decimal
    future_profit: Decimal
    initial: Decimal
    maintenance: Decimal
    gross: Decimal
    unrealized: Decimal
    realized: Decimal

    @property
    def net_liquidation(self) -> Decimal:
        return self.cash + self.stock_value + self.option_value + self.future_profit

    @property
    def equity_with_loan(self) -> Decimal:
        return self.cash + self.stock_value + self.future_profit

    @property
    def available(self) -> Decimal:
        return self.equity_with_loan - self.initial

    @property
    def buying_power(self) -> Decimal:
        return max(_ZERO, self.available * 2)


def value(
    account: Account, prices: Mapping[int, Decimal], rates: Mapping[str, Decimal]
) -> Valuation:
    """Value an account; `prices` by contract id, `rates` say what a currency is worth in base."""
    cash = sum((a * rates.get(c, Decimal(1)) for c, a in account.cash.items()), _ZERO)
    sums = dict.fromkeys(("stock", "option", "future", "initial", "maintenance", "gross"), _ZERO)
    unrealized = realized = _ZERO
    for con_id, held in account.holdings.items():
        rate = rates.get(held.listing.currency, Decimal(1))
        realized += held.realized * rate
        if not held.quantity:
            continue
        worth = held.quantity * prices[con_id] * held.listing.unit * rate
        gain = held.quantity * (prices[con_id] - held.average) * held.listing.unit * rate
        unrealized += gain
        kind = held.listing.sec_type
        if kind == "FUT":
            sums["future"] += held.unsettled(prices[con_id]) * rate
        elif kind != "CASH":  # its two legs are cash
            sums["option" if kind == "OPT" else "stock"] += worth
        initial, maintenance = _MARGINS.get(kind, _MARGINS["STK"])
        if not (kind == "OPT" and held.quantity > 0):  # a bought option is paid for
            sums["initial"] += abs(worth) * initial
            sums["maintenance"] += abs(worth) * maintenance
        sums["gross"] += abs(worth)
    return Valuation(
        cash,
        sums["stock"],
        sums["option"],
        sums["future"],
        sums["initial"],
        sums["maintenance"],
        sums["gross"],
        unrealized,
        realized,
    )


def margin_of(
    account: Account,
    order: LiveOrder,
    price: Decimal,
    prices: Mapping[int, Decimal],
    rates: Mapping[str, Decimal],
) -> Margin:
    """Return what an account would look like if an order filled at a price."""
    before = value(account, prices, rates)
    listing, signed = order.listing, order.side * order.remaining
    cost = commission_of(listing, order.remaining, price)
    trial = Account(account.name, account.base, account.start_cash, dict(account.cash))
    trial.holdings = {
        i: Holding(h.listing, h.quantity, h.average, h.realized, h.settled)
        for i, h in account.holdings.items()
    }
    if listing.sec_type == "CASH":
        trial.cash[listing.symbol] = trial.cash.get(listing.symbol, _ZERO) + signed
    if listing.sec_type != "FUT":
        spent = signed * price * listing.unit
        trial.cash[listing.currency] = trial.cash.get(listing.currency, _ZERO) - spent
    trial.cash[account.base] -= cost
    holding = trial.holdings.setdefault(listing.con_id, Holding(listing))
    unsettled = holding.unsettled(price)
    _close(holding, signed, price)
    if listing.sec_type == "FUT":
        earned = unsettled - holding.unsettled(price)
        trial.cash[listing.currency] = trial.cash.get(listing.currency, _ZERO) + earned
    after = value(trial, {**prices, listing.con_id: prices.get(listing.con_id, price)}, rates)

    def cents(amount: Decimal) -> Decimal:
        return amount.quantize(_CENT)

    return Margin(
        initial_before=cents(before.initial),
        maintenance_before=cents(before.maintenance),
        equity_before=cents(before.equity_with_loan),
        initial_after=cents(after.initial),
        maintenance_after=cents(after.maintenance),
        equity_after=cents(after.equity_with_loan),
        commission=cost,
        currency=account.base,
    )
