"""Random lives of a book beside naive books in fractions: equal after every event."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from random import Random

from hypothesis import given, note, settings
from hypothesis import strategies as st

from swarm_core import events as ev
from swarm_core.action_events import CarryKind
from swarm_core.actions.action import CorporateAction
from swarm_core.actions.dividends import CashDividend, due_payments
from swarm_core.actions.exchanges import CashOut
from swarm_core.actions.splits import Split
from swarm_core.book import Book, book_from_events
from swarm_core.currencies import CurrencyExchange
from swarm_core.orders import OrderSide
from swarm_core.replay import book_digest
from tests.swarm_core.actions.naive_books import MINOR, NaiveBooks
from tests.swarm_core.builders import make_instrument

CENT = Fraction(1, 100)
INSTRUMENTS = {
    "US.A": make_instrument("US.A"),
    "US.B": make_instrument("US.B"),
    "EU.C": make_instrument("EU.C", currency="EUR"),
}
CASH = 1_000_000


@dataclass
class Life:
    """One book and its naive twin, led through the same random events."""

    random: Random
    book: Book = field(default_factory=lambda: Book("USD", CASH * MINOR))
    naive: NaiveBooks = field(default_factory=lambda: NaiveBooks({"USD": Fraction(CASH)}))
    log: list[ev.Event] = field(default_factory=list)

    def tell(self, *events: ev.Event) -> None:
        for event in events:
            for _ in range(self.random.choice([1, 1, 2])):  # what is told twice changes nothing
                self.book.apply(event)
            self.log.append(event)

    def id(self) -> str:
        return f"e{len(self.log)}"

    def trade(self) -> None:
        name = self.random.choice(list(INSTRUMENTS))
        instrument = INSTRUMENTS[name]
        side, lots = self.random.choice(list(OrderSide)), self.random.randint(1, 500)
        ticks, fee = self.random.randint(1, 30_000), self.random.randint(0, 10**9)
        fill = ev.OrderFilled(
            event_id=self.id(),
            time_ns=len(self.log),
            client_order_id="o",
            execution_id=self.id(),
            instrument_id=name,
            side=side,
            lots=lots,
            price_ticks=ticks,
            lot_tick_minor=instrument.lot_tick_minor,
            currency=instrument.currency,
            commission_minor=fee,
        )
        self.tell(fill)
        self.naive.trade(
            name, instrument.currency, side.sign * lots, ticks * CENT, Fraction(fee, MINOR)
        )

    def held(self) -> str | None:
        names = [n for n, units in sorted(self.naive.units.items()) if units]
        return self.random.choice(names) if names else None

    def act(self, action: CorporateAction) -> None:
        self.tell(*action.holding_events(self.book.ledger, INSTRUMENTS, len(self.log)))

    def split(self) -> None:
        name = self.held()
        n, d = self.random.choice([(2, 1), (3, 2), (1, 10), (7, 3), (1, 3), (21, 20)])
        if name is not None:
            self.act(Split(action_id=self.id(), instrument_id=name, numerator=n, denominator=d))
            self.naive.split(name, n, d, CENT)

    def dividend(self) -> None:
        name = self.held()
        if name is None:
            return
        amount = Decimal(self.random.randint(1, 50_000)) / 10_000
        self.naive.dividend(self.id(), name, Fraction(amount))
        self.act(
            CashDividend(
                action_id=self.id(),
                instrument_id=name,
                amount=amount,
                currency=INSTRUMENTS[name].currency,
                pay_ns=len(self.log) + 5,
            )
        )

    def payments(self) -> None:
        self.tell(*due_payments(self.book.ledger, len(self.log) + 10))
        self.naive.pay_all()

    def cash_out(self) -> None:
        name = self.held()
        if name is not None:
            ticks = self.random.randint(0, 30_000)
            price = INSTRUMENTS[name].ticks_to_price(ticks)
            self.act(CashOut(action_id=self.id(), instrument_id=name, price=price))
            self.naive.cash_out(name, ticks * CENT)

    def mark(self) -> None:
        name = self.held()
        if name is None:
            return
        ticks = self.random.randint(1, 30_000)
        self.tell(
            ev.PositionMarked(
                event_id=self.id(),
                time_ns=0,
                instrument_id=name,
                price_ticks=ticks,
                lot_tick_minor=10**6,
                currency=INSTRUMENTS[name].currency,
            )
        )
        self.naive.prices[name] = ticks * CENT

    def rate(self) -> None:
        rate = Decimal(self.random.randint(8_000, 14_000)) / 10_000
        self.tell(ev.CurrencyMarked(event_id=self.id(), time_ns=0, currency="EUR", rate=rate))
        self.naive.rates["EUR"] = Fraction(rate)

    def carry(self) -> None:
        amount = self.random.randint(-(10**10), 10**10)
        currency = self.random.choice(["USD", "EUR"])
        self.tell(
            ev.CarryCharged(
                event_id=self.id(),
                time_ns=0,
                carry=CarryKind.INTEREST,
                instrument_id="",
                currency=currency,
                amount_minor=amount,
                days=1,
            )
        )
        self.naive.pay(currency, Fraction(amount, MINOR))

    def convert(self) -> None:
        sold = self.random.randint(1, 10**12)
        trade = CurrencyExchange(fee_bps=Decimal(0), fee_minimum=Decimal(0)).convert(
            "USD", sold, "EUR", self.book.ledger.rates, base_currency="USD", time_ns=len(self.log)
        )
        self.tell(trade)
        bought = Fraction(sold) / self.naive.rates["EUR"]
        self.naive.pay("USD", Fraction(-sold, MINOR))
        self.naive.pay("EUR", Fraction(int(bought), MINOR))

    def check(self) -> None:
        ledger = self.book.ledger
        assert ledger.find_imbalance() is None
        assert {n: ledger.lots(n) for n in self.naive.units} == self.naive.units
        cash = {c: Fraction(minor, MINOR) for c, minor in ledger.cash.items()}
        told = {c: amount for c, amount in self.naive.cash.items() if amount or c in cash}
        assert cash == {**dict.fromkeys(cash, Fraction(0)), **told}
        assert ledger.find_nav_minor() == self.naive.nav_minor()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_random_life_equals_naive_books_after_every_event(seed: int) -> None:
    note(f"seed {seed}")
    life = Life(Random(seed))
    acts: list[Callable[[], None]] = [
        life.trade,
        life.trade,
        life.split,
        life.dividend,
        life.payments,
        life.cash_out,
        life.mark,
        life.rate,
        life.carry,
        life.convert,
    ]
    life.rate()
    for _ in range(60):
        life.random.choice(acts)()
        life.check()
    stored = [ev.decode(ev.encode(event)) for event in life.log]
    again = book_from_events(stored, "USD", CASH)
    assert book_digest(again) == book_digest(life.book)
