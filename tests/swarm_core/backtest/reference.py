"""A naive backtest in Decimal, written from the rules alone; it shares no code with the engine.

Orders trade at the next bar's open, as they came, and share a part of the bar's volume; what a bar
leaves open waits for the next, or is gone where orders live one bar. A fixed slippage in basis
points is rounded against the order to a tick; a commission is rounded half to even to 1e-8.
"""

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

MINOR = Decimal("0.00000001")


@dataclass
class Rules:
    cash: Decimal
    tick: Decimal
    lot: Decimal
    participation: Decimal = Decimal(1)
    slippage_bps: Decimal = Decimal(0)
    fee_bps: Decimal | None = None
    per_share: Decimal | None = None  # with a minimum of 1 and at most 1 % of the value
    one_bar: bool = False


@dataclass
class Order:
    size: Decimal  # signed, still open
    filled: Decimal = Decimal(0)
    value: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)


@dataclass
class Account:
    cash: Decimal
    held: list[Decimal]
    price: list[Decimal]
    orders: list[list[Order]]
    nav: list[Decimal] = field(default_factory=list)
    fills: list[tuple[int, int, Decimal, Decimal, Decimal]] = field(default_factory=list)


def minor(amount: Decimal) -> Decimal:
    return amount.quantize(MINOR, ROUND_HALF_EVEN)


def commission(rules: Rules, order: Order) -> Decimal:
    if rules.fee_bps is not None:
        return minor(order.value * rules.fee_bps / 10_000)
    assert rules.per_share is not None
    return min(minor(max(Decimal(1), order.filled * rules.per_share)), minor(order.value / 100))


def fill(rules: Rules, account: Account, t: int, i: int, open_: Decimal, volume: Decimal) -> None:
    left = (volume * rules.participation / rules.lot).to_integral_value(ROUND_DOWN) * rules.lot
    for order in account.orders[i]:
        size = min(abs(order.size), left)
        if size == 0:
            continue
        left -= size
        buys = order.size > 0
        worse = open_ * (1 + (1 if buys else -1) * rules.slippage_bps / 10_000)
        rounding = ROUND_CEILING if buys else ROUND_FLOOR
        price = (worse / rules.tick).to_integral_value(rounding) * rules.tick
        signed = size if buys else -size
        order.size -= signed
        order.filled += size
        order.value += size * price
        total = commission(rules, order)
        account.cash -= signed * price + total - order.charged
        account.fills.append((t, i, signed, price, total - order.charged))
        order.charged = total
        account.held[i] += signed
    account.orders[i] = [o for o in account.orders[i] if o.size and not rules.one_bar]


def walk(
    rules: Rules,
    opens: list[list[Decimal]],
    closes: list[list[Decimal]],
    volumes: list[list[Decimal]],
    targets: list[list[Decimal | None]],
) -> Account:
    """Return the account after all bars; a target is in units, None for no wish."""
    n = len(opens[0])
    account = Account(rules.cash, [Decimal(0)] * n, [Decimal(0)] * n, [[] for _ in range(n)])
    for t in range(len(opens)):
        for i in range(n):
            fill(rules, account, t, i, opens[t][i], volumes[t][i])
            account.price[i] = closes[t][i]
        worth = sum((account.held[i] * account.price[i] for i in range(n)), Decimal(0))
        account.nav.append(account.cash + worth)
        for i in range(n):
            wanted = targets[t][i]
            if wanted is not None:
                open_size = sum((o.size for o in account.orders[i]), Decimal(0))
                change = wanted - account.held[i] - open_size
                if change:
                    account.orders[i].append(Order(change))
    return account
