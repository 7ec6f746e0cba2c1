"""The decision to be out of a contract that ends, and in the next one where it is rolled.

The trader and the scheduled decision make it here; the gate judges its orders like any others.
"""

from dataclasses import dataclass

from swarm_core.book import Book
from swarm_core.contract_ends import EndSettings
from swarm_core.instruments import Instrument
from swarm_core.lineage import END_PREFIX, Lineage
from swarm_core.references import References
from swarm_core.risk.context import InstrumentRisk
from swarm_core.risk.gate import Denied, check_order
from swarm_core.sizing import size


@dataclass(frozen=True, slots=True)
class EndTargets:
    """The decision to be out of a contract, and in the next one where it is rolled."""

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    target_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEnd:
    """A contract `left` sessions before its last trading day (ISO date), and what becomes of it.

    It is rolled into `following`, or closed where that is empty.
    """

    name: str
    last_day: str
    left: int
    following: str = ""

    @property
    def what(self) -> str:
        return f"rolled into {self.following}" if self.following else "closed"

    @property
    def instrument_ids(self) -> tuple[str, ...]:
        return (self.name, self.following) if self.following else (self.name,)

    def decision_id(self, number: int | str) -> str:
        """Return the id of one try to close or roll it."""
        return f"{END_PREFIX}{self.name}-{self.last_day}-{number}"

    def lineage(self, decision_id: str, session: str, settings: EndSettings) -> Lineage:
        """Return what the decision stands on: the rule, in words, stands as its run."""
        why = (
            f"{self.name} is {self.what}: its last trading day is {self.last_day}, "
            f"{self.left} sessions after {session} (trade.contract_end: {settings.then} "
            f"from {settings.act_sessions} on)"
        )
        return Lineage(decision_id=decision_id, session=session, run_id=why)


def end_targets(
    end: ContractEnd, decision_id: str, book: Book, references: References
) -> EndTargets:
    """Return the targets: nothing of the one, as many lots more of the other.

    What an earlier try has opened more than it has closed is opened already. A weight is of half a
    lot more than is wanted, so that its lots come out exactly.
    """
    if not end.following:
        return EndTargets(decision_id, references.time_ns, (end.name,), (0.0,))
    context = references.measure(book)
    risk, nav = context.instruments[end.following], context.nav or 0
    lots = _with_working(context.instruments[end.name]) + _with_working(risk) - _ahead(end, book)
    weight = 0.0
    if lots and nav > 0:
        weight = (lots + (0.5 if lots > 0 else -0.5)) * risk.lot_value / nav
    return EndTargets(decision_id, references.time_ns, end.instrument_ids, (0.0, weight))


def _ahead(end: ContractEnd, book: Book) -> int:
    """Return the lots, with their sign, that earlier tries have opened beyond what they closed."""
    lots, tries = 0, end.decision_id("")
    for decision_id, order_ids in book.intended.items():
        if decision_id.startswith(tries):
            for record in (book.orders[order_id] for order_id in order_ids):
                lots += record.order.side.sign * (record.filled_lots + record.open_lots)
    return lots


def find_denial(decision: EndTargets, book: Book, references: References) -> str:
    """Return what the gate would deny, or nothing: a roll of which one leg passes is none."""
    context = references.measure(book)
    orders, targets = size(decision, book, context, references.sizing)
    for target in targets:
        return f"{target.instrument_id}: {target.detail}"
    for order in orders:
        verdict = check_order(order, context)
        if isinstance(verdict, Denied):
            return f"{order.instrument_id}: {verdict.detail}"
        context.send(order)
    return ""


def find_missing(end: ContractEnd, references: References, *, must_be_open: bool) -> str:
    """Return what is missing before orders can be sized and judged, or nothing."""
    known = references.instruments
    for name in end.instrument_ids:
        quote = references.quotes.get(name)
        if name not in known:
            return f"{name} must be an instrument of this desk"
        if quote is None:
            return f"{name} must have a quote"
        if must_be_open and not quote.session_open:
            return f"the market of {name} must be open"
    if end.following and not are_alike(known[end.name], known[end.following]):
        return f"{end.following} must be a future of the same currency, multiplier and lots"
    return ""


def are_alike(one: Instrument, other: Instrument) -> bool:
    """Return whether lots of one future can be taken for lots of the other, as a roll does."""
    return one.asset_class == "future" and _terms_of(one) == _terms_of(other)


def _terms_of(instrument: Instrument) -> tuple[object, ...]:
    return (
        instrument.asset_class,
        instrument.currency,
        instrument.multiplier,
        instrument.size_increment,
        instrument.price_increment,
    )


def _with_working(risk: InstrumentRisk) -> int:
    """Return what is held once all has filled that works, as sizing counts it."""
    return risk.position_lots + risk.open_buy_lots - risk.open_sell_lots
