"""From the event log to tables that people query: orders, fills, positions and NAV.

The log is the truth; these tables are read off it and can be rebuilt at any time.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

import polars as pl

from features.calendars import day_of
from features.schemas_derived import FILLS, NAV, ORDERS, POSITIONS
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import Instrument, from_minor
from swarm_core.market import Bar


def moment(time_ns: int) -> datetime:
    """Return nanoseconds since 1970 as a UTC time, to the microsecond."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).replace(
        microsecond=time_ns % 10**9 // 1_000
    )


def instruments_of(rows: pl.DataFrame) -> dict[str, Instrument]:
    """Return every instrument, described by its newest row."""
    newest = rows.sort("valid_from", nulls_last=False).unique(
        "instrument_id", keep="last", maintain_order=True
    )
    return {r["instrument_id"]: Instrument.from_mapping(r) for r in newest.iter_rows(named=True)}


def _price(instrument: Instrument | None, ticks: int | None) -> float | None:
    return None if instrument is None or ticks is None else float(instrument.ticks_to_price(ticks))


def _times(time_ns: int) -> dict[str, datetime]:
    return {"event_time": moment(time_ns), "knowledge_time": moment(time_ns)}


# What an order goes through while it is sent, mostly at the moment of its intent.
_SENDING = (ev.OrderApproved, ev.OrderDenied, ev.OrderSubmitted, ev.OrderAccepted)


def _known(row: Mapping[str, object], event: ev.Event) -> datetime:
    """Return when a row is known that an event changed, never before it stood as it did.

    An execution carries the venue's time, which may lie before what is on record already. The
    newest row of an order is the one that is known last, so that it must be later than that.
    """
    before, at = row["knowledge_time"], moment(event.time_ns)
    assert isinstance(before, datetime)
    if at > before:
        return at
    return before if isinstance(event, _SENDING) else before + timedelta(microseconds=1)


class OrderProjection:
    """Reads events in order and keeps one row per order and one per fill.

    `sessions` maps decision ids to sessions as DecisionTaken events name them.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._sessions: dict[str, str] = {}
        self._orders: dict[str, dict[str, object]] = {}
        self._fills: dict[str, dict[str, object]] = {}
        self._filled: dict[str, float] = {}  # quantity by order

    def apply_all(self, events: Iterable[ev.RecordedEvent]) -> "OrderProjection":
        """Take in the events and return itself."""
        for recorded in events:
            self._apply(recorded.event)
        return self

    def _apply(self, event: ev.Event) -> None:
        match event:
            case ev.DecisionTaken():
                self._sessions[event.lineage.decision_id] = event.lineage.session
            case ev.OrderIntended():
                self._intend(event)
            case ev.OrderFilled():
                self._fill(event)
            case ev.OrderEvent():
                self._advance(event)
            case _:
                pass

    def _intend(self, event: ev.OrderIntended) -> None:
        order = event.order
        instrument = self._instruments.get(order.instrument_id)
        quantity = None if instrument is None else instrument.lots_to_quantity(order.quantity_lots)
        self._orders[order.client_order_id] = {
            "order_id": order.client_order_id,
            "decision_id": order.decision_id,
            "session": self._sessions.get(order.decision_id, ""),
            **_times(event.time_ns),
            "instrument_id": order.instrument_id,
            "side": order.side.value,
            "quantity": float(order.quantity_lots if quantity is None else quantity),
            "reference_price": None,
            "verdict": None,
            "denial_code": None,
            "detail": "",
            "status": "intended",
        }

    def _advance(self, event: ev.OrderEvent) -> None:
        row = self._orders.get(event.client_order_id)
        if row is None:
            return
        row["knowledge_time"] = _known(row, event)
        instrument = self._instruments.get(str(row["instrument_id"]))
        match event:
            case ev.OrderApproved():
                row["verdict"], row["status"] = "approved", "approved"
                row["reference_price"] = _price(instrument, event.reference_ticks)
                row["detail"] = f"value {event.value_micros / 1e6:,.2f}"
            case ev.OrderDenied():
                row["verdict"], row["status"] = "denied", "denied"
                row["denial_code"] = event.code.value
                row["detail"] = event.detail
            case ev.OrderSubmitted():
                row["status"] = "submitted"
            case ev.OrderAccepted():
                row["status"] = "accepted"
            case ev.OrderRejected() | ev.OrderCancelled():
                row["status"] = "rejected" if isinstance(event, ev.OrderRejected) else "cancelled"
                row["detail"] = event.reason
            case ev.OrderExpired():
                row["status"] = "expired"
            case ev.OrderAdjusted():
                self._adjust(row, event, instrument)
            case ev.OrderModified():
                lots = event.quantity_lots
                quantity = lots if instrument is None else instrument.lots_to_quantity(lots)
                row["quantity"], row["detail"] = float(quantity), f"change {event.number}"
            case _:
                pass

    def _adjust(
        self, row: dict[str, object], event: ev.OrderAdjusted, instrument: Instrument | None
    ) -> None:
        """Take over the new quantity; a reference in units of before measures nothing any more."""
        lots = event.quantity_lots
        quantity = float(lots if instrument is None else instrument.lots_to_quantity(lots))
        if quantity != row["quantity"]:
            row["quantity"], row["reference_price"] = quantity, None
        row["detail"] = f"adjusted for {event.action_id}"

    def _fill(self, event: ev.OrderFilled) -> None:
        if event.execution_id in self._fills:
            return
        instrument = self._instruments.get(event.instrument_id)
        order = self._orders.get(event.client_order_id, {})
        price = _price(instrument, event.price_ticks)
        reference = order.get("reference_price")
        slippage = None
        if price is not None and isinstance(reference, float) and reference > 0:
            slippage = event.side.sign * (price / reference - 1.0) * 10_000.0
        quantity = event.lots if instrument is None else instrument.lots_to_quantity(event.lots)
        self._fills[event.execution_id] = {
            "fill_id": event.execution_id,
            "order_id": event.client_order_id,
            "session": day_of(moment(event.time_ns)).isoformat(),
            **_times(event.time_ns),
            "instrument_id": event.instrument_id,
            "side": event.side.value,
            "quantity": float(quantity),
            "price": price if price is not None else float("nan"),
            "currency": event.currency,
            "cost": float(from_minor(event.commission_minor or 0)),
            "slippage_bps": slippage,
        }
        filled = self._filled.get(event.client_order_id, 0.0) + float(quantity)
        self._filled[event.client_order_id] = filled
        if order:
            order["knowledge_time"] = _known(order, event)
            whole = filled >= float(str(order["quantity"])) - 1e-9
            order["status"] = "filled" if whole else "partially_filled"

    def orders(self) -> pl.DataFrame:
        """Return the ORDERS rows, one per order, by time and id."""
        return _frame(self._orders.values(), ORDERS.columns, "order_id")

    def fills(self) -> pl.DataFrame:
        """Return the FILLS rows, one per execution, by time and id."""
        return _frame(self._fills.values(), FILLS.columns, "fill_id")


def _frame(
    rows: Iterable[Mapping[str, object]], columns: Mapping[str, pl.DataType], identity: str
) -> pl.DataFrame:
    text = {c: pl.String() if isinstance(t, pl.Date) else t for c, t in columns.items()}
    frame = pl.DataFrame(list(rows), schema=text)
    return frame.with_columns(pl.col("session").str.to_date("%Y-%m-%d", strict=False)).sort(
        "event_time", identity
    )


def nav_row(book: Book, session: str, close_ns: int, benchmark: float | None) -> dict[str, object]:
    """Return the NAV row of a session from the book as it stood at the close.

    Raises ValueError where NAV is not known.
    """
    ledger = book.ledger
    nav_minor = ledger.find_nav_minor()
    if nav_minor is None:
        raise ValueError(f"NAV of {session} must be known, was not: a mark is missing")
    values = [
        float(p.value_minor * ledger.rates[p.currency]) / nav_minor
        for p in ledger.positions.values()
        if p.lots
    ]
    cash = sum(float(amount * ledger.rates[c]) for c, amount in ledger.cash.items() if amount)
    peak = max(book.peak_nav_minor, nav_minor)
    return {
        "session": date.fromisoformat(session),
        **_times(close_ns),
        "nav_minor": nav_minor,
        "nav": float(from_minor(nav_minor)),
        "moved_in": float(from_minor(book.moved_in_minor)),
        "cash": cash / 1e8,
        "gross": sum(abs(v) for v in values),
        "net": sum(values),
        "drawdown_fraction": 1.0 - nav_minor / peak,
        "benchmark": benchmark,
    }


def position_rows(
    book: Book, session: str, close_ns: int, instruments: Mapping[str, Instrument]
) -> list[dict[str, object]]:
    """Return one POSITIONS row per instrument held at the session's close."""
    nav_minor = book.ledger.find_nav_minor() or 0
    rows: list[dict[str, object]] = []
    for instrument_id, position in sorted(book.ledger.positions.items()):
        instrument = instruments.get(instrument_id)
        if not position.lots or instrument is None:
            continue
        value = float(position.value_minor * book.ledger.rates[position.currency])
        rows.append(
            {
                "session": date.fromisoformat(session),
                **_times(close_ns),
                "instrument_id": instrument_id,
                "quantity": float(instrument.lots_to_quantity(position.lots)),
                "price": float(instrument.ticks_to_price(position.mark_ticks)),
                "value": value / 1e8,
                "weight": value / nav_minor if nav_minor else None,
            }
        )
    return rows


def nav_frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return NAV rows as a table."""
    return pl.DataFrame(rows, schema=NAV.columns)


def position_frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    """Return position rows as a table."""
    return pl.DataFrame(rows, schema=POSITIONS.columns)


def bars_of(
    rows: pl.DataFrame, instruments: Mapping[str, Instrument], open_ns: int
) -> tuple[Bar, ...]:
    """Return the bars of one session on their instruments' integer grids, by instrument id.

    `open_ns` is when the session opened: an order that came later cannot have that open.
    """
    bars: list[Bar] = []
    for row in rows.sort("instrument_id").iter_rows(named=True):
        instrument = instruments.get(row["instrument_id"])
        if instrument is None:
            continue
        bars.append(
            Bar.from_prices(
                instrument,
                round(row["event_time"].timestamp() * 1_000_000) * 1_000,
                row["close"],
                open_=row["open"],
                high=row["high"],
                low=row["low"],
                volume=row["volume"],
                open_time_ns=open_ns,
            )
        )
    return tuple(bars)
