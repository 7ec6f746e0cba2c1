"""A person's word on why the account differs from the book, held against the account itself."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from threading import Lock

from swarm_core import events as ev
from swarm_core.findings import FindingKind
from swarm_core.instruments import Instrument, from_minor, to_minor
from swarm_core.reconciliation import Reconciliation, ReconciliationRules, reconcile
from trader.desk import TradingDesk
from trader.ports import LiveBroker

_FIELDS = frozenset({"cash", "positions", "fills", "income", "by", "reason"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClaim:
    """What the broker has more (less: negative) than the log, as a person says, and who and why.

    `cash` is by currency in units of it. `positions` is by instrument: a quantity, and after `@`
    what one cost; without that it is its mark, or, where it is not held, the trader's quote.
    `fills` takes in executions of orders that are not ours. `income` says that the cash was earned
    or spent, and is no capital that the owner moved.
    """

    actor: str
    reason: str
    cash: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    positions: Mapping[str, tuple[Decimal, Decimal | None]] = field(
        default_factory=dict[str, tuple[Decimal, Decimal | None]]
    )
    fills: bool = False
    income: bool = False

    def __post_init__(self) -> None:
        for name in ("actor", "reason"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} of a claim must be given, was empty")
        if not (self.cash or self.positions or self.fills):
            raise ValueError("cash, positions or fills must be claimed, none was")
        if self.income and self.positions:
            raise ValueError("only cash can be income, positions were claimed with it")

    @classmethod
    def of(cls, asked: Mapping[str, object]) -> "AccountClaim":
        """Return the claim of a JSON body; ValueError with one line where it is none."""
        odd = sorted(asked.keys() - _FIELDS)
        if odd:
            raise ValueError(f"a claim must have {sorted(_FIELDS)}, had {odd}")
        cash, positions = asked.get("cash", {}), asked.get("positions", {})
        flags = {name: asked.get(name, False) for name in ("fills", "income")}
        if not (isinstance(cash, Mapping) and isinstance(positions, Mapping)) or not all(
            isinstance(flag, bool) for flag in flags.values()
        ):
            raise ValueError(
                "cash and positions must be objects of names and amounts, fills and income true or "
                f"false, were {cash!r}, {positions!r}, {flags}"
            )
        return cls(
            actor=str(asked.get("by", "")),
            reason=str(asked.get("reason", "")),
            cash={
                str(name): _amount(f"the cash in {name}", str(told)) for name, told in cash.items()
            },
            positions={
                str(name): _holding(str(name), str(told)) for name, told in positions.items()
            },
            fills=flags["fills"] is True,
            income=flags["income"] is True,
        )


def _amount(what: str, told: str) -> Decimal:
    try:
        amount = Decimal(told)
    except InvalidOperation as error:
        raise ValueError(f"{what} must be a number, was {told!r}") from error
    if not amount.is_finite() or not amount:
        raise ValueError(f"{what} must be finite and not 0, was {told!r}")
    return amount


def _holding(name: str, told: str) -> tuple[Decimal, Decimal | None]:
    quantity, at, price = told.partition("@")
    paid = _amount(f"the price of {name}", price) if at else None
    return _amount(f"the quantity of {name}", quantity), paid


def settle_account(
    desk: TradingDesk, broker: LiveBroker, rules: ReconciliationRules, claim: AccountClaim
) -> str:
    """Book what a person says of the account, where the account shows exactly that; return a line.

    It is booked whole or not at all. Raises OSError where the account cannot be read in full, and
    ValueError with one line where it does not differ as claimed, or a commission is outstanding.
    """
    desk.catch_up()
    account = broker.account()
    desk.take_in(broker.heard())
    if claim.cash and account.cash_minor is None:
        raise ValueError("the broker must tell its cash before any is settled, it does not")
    account = desk.unretired(account)
    taking = replace(rules, adopt_foreign=rules.adopt_foreign or claim.fills)
    claimed = {currency: to_minor(amount) for currency, amount in claim.cash.items()}
    found = reconcile(desk.book, account, taking, claimed)
    if any(f.kind is FindingKind.FOREIGN_FILL for f in found.findings):
        raise ValueError("executions that are not ours must be taken in with it: claim the fills")
    transfers = _transfers(desk, found, claim)
    adopted = _adopted(desk, found, claim)
    if claim.fills and not adopted:
        raise ValueError("the account must show executions of other orders, it shows none")
    desk.take_in(found.events)
    desk.note(*adopted, *transfers)
    return f"{claim.actor} has settled {len(transfers)} differences, {len(adopted)} executions"


def differences(
    found: Reconciliation, instruments: Mapping[str, Instrument]
) -> dict[str, dict[str, str]]:
    """Return what a claim must say of a comparison: `cash` and `positions`, in units."""
    held = {}
    for name, lots in found.lots_off.items():
        instrument = instruments.get(name)
        held[name] = f"{lots} lots" if instrument is None else _units(instrument, lots)
    cash = {c: _signed(minor) for c, minor in found.cash_off.items()}
    return {"cash": cash, "positions": held}


def _signed(minor: int) -> str:
    return f"{from_minor(minor).normalize():+f}"


def _units(instrument: Instrument, lots: int) -> str:
    return f"{instrument.lots_to_quantity(lots):+f}"


def _transfers(
    desk: TradingDesk, found: Reconciliation, claim: AccountClaim
) -> list[ev.TransferBooked]:
    moved: list[ev.TransferBooked] = []
    if claim.cash and found.uncharged:
        count = len(found.uncharged)
        raise ValueError(f"commissions must be told before cash is settled, {count} are not")
    for currency, amount in sorted(claim.cash.items()):
        minor, rest = to_minor(amount), found.cash_off.get(currency, 0)
        if rest:
            raise ValueError(
                f"the broker's {currency} must differ from the log by {_signed(minor)}, as "
                f"claimed, it does by {_signed(minor + rest)}"
            )
        moved.append(
            ev.TransferBooked(
                event_id=_id_of(desk, currency),
                time_ns=desk.now_ns(),
                currency=currency,
                amount_minor=minor,
                is_capital=not claim.income,
                actor=claim.actor,
                reason=claim.reason,
            )
        )
    for name, (quantity, price) in sorted(claim.positions.items()):
        moved.append(_moved_lots(desk, found, claim, name, quantity, price))
    return moved


def _moved_lots(
    desk: TradingDesk,
    found: Reconciliation,
    claim: AccountClaim,
    name: str,
    quantity: Decimal,
    price: Decimal | None,
) -> ev.TransferBooked:
    instrument = desk.instruments.get(name)
    if instrument is None:
        raise ValueError(f"{name} must be known to this desk, is not: list it in trade.instruments")
    lots, off = instrument.quantity_to_lots(quantity), found.lots_off.get(name, 0)
    if instrument.lots_to_quantity(lots) != quantity or lots != off:
        raise ValueError(
            f"the broker's position of {name} must differ from the log by {quantity:+f}, as "
            f"claimed, it does by {_units(instrument, off)}"
        )
    return ev.TransferBooked(
        event_id=_id_of(desk, name),
        time_ns=desk.now_ns(),
        currency=instrument.currency,
        amount_minor=0,
        is_capital=True,
        actor=claim.actor,
        reason=claim.reason,
        instrument_id=name,
        lots=lots,
        price_ticks=_price_ticks(desk, instrument, price),
        lot_tick_minor=instrument.lot_tick_minor,
        is_margined=instrument.is_margined,
    )


def _price_ticks(desk: TradingDesk, instrument: Instrument, price: Decimal | None) -> int:
    if price is not None:
        return instrument.price_to_ticks(price)
    name = instrument.instrument_id
    position, quote = desk.book.ledger.positions.get(name), desk.quotes.get(name)
    if position is not None and position.lots:  # what was sold long ago has an old mark
        return position.mark_ticks
    if quote is not None:
        return quote.reference_ticks
    raise ValueError(f"the price of {name} must be given, as QUANTITY@PRICE: it is not held")


def _adopted(
    desk: TradingDesk, found: Reconciliation, claim: AccountClaim
) -> list[ev.PersonInstructed]:
    """Return who took in which execution that is not ours, where a person did."""
    if not claim.fills:
        return []
    taken = {f.subject for f in found.findings if f.kind is FindingKind.ORDER_ADOPTED}
    fills = [e for e in found.events if isinstance(e, ev.OrderFilled) and e.execution_id in taken]
    return [
        ev.PersonInstructed(
            event_id=ev.make_event_id("PersonInstructed", fill.execution_id, claim.actor),
            time_ns=desk.now_ns(),
            client_order_id=fill.client_order_id,
            instruction="adopt",
            actor=claim.actor,
            reason=f"{claim.reason} (execution {fill.execution_id})",
        )
        for fill in fills
    ]


def _id_of(desk: TradingDesk, subject: str) -> str:
    return ev.make_event_id("TransferBooked", subject, desk.book.sequence, desk.now_ns())


class AccountClaims:
    """Claims that wait for the trader's next beat; `settle` acts on one and returns a line.

    `done` counts those that were acted on, `told` is what came of the last one.
    """

    def __init__(
        self, settle: Callable[[AccountClaim], str], tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._settle, self._tell = settle, tell
        self._asked: deque[AccountClaim] = deque()
        self._lock = Lock()
        self.done, self.told = 0, ""

    def ask(self, claim: AccountClaim) -> str:
        with self._lock:
            self._asked.append(claim)
        return "the claim is held against the account: the trader tells what comes of it"

    def act(self) -> None:
        """Settle what was asked, also while trading is halted."""
        with self._lock:
            due, self._asked = list(self._asked), deque()
        for claim in due:
            self.told = self._settle(claim)
            self.done += 1
            self._tell(self.told)
