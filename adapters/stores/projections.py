"""Tables out of the event log: orders, fills, positions, exposure, P&L and decisions.

Each is a fold of the log and of nothing else, so it can be dropped and made again at any time.
Money is in minor units (1e-8) of the named currency, prices in ticks, quantities in lots.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import convert_minor, to_minor

Rows = list[dict[str, Any]]
_I, _S, _F, _B = pl.Int64(), pl.String(), pl.Float64(), pl.Boolean()
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "orders": {
        "client_order_id": _S, "decision_id": _S, "instrument_id": _S, "side": _S, "kind": _S,
        "quantity_lots": _I, "filled_lots": _I, "state": _S, "denial_code": _S, "attempt": _I,
        "intended_ns": _I, "submitted_ns": _I, "broker_order_id": _S,
        "parent_client_order_id": _S,
    },
    "fills": {
        "sequence": _I, "time_ns": _I, "execution_id": _S, "client_order_id": _S,
        "instrument_id": _S, "side": _S, "lots": _I, "price_ticks": _I, "lot_tick_minor": _I,
        "currency": _S, "commission_minor": _I,
    },
    "positions": {
        "instrument_id": _S, "currency": _S, "lots": _I, "cost_minor": _I, "mark_ticks": _I,
        "value_minor": _I, "unrealised_minor": _I, "realised_minor": _I,
    },
    "exposure": {
        "currency": _S, "long_minor": _I, "short_minor": _I, "gross_minor": _I, "net_minor": _I,
        "cash_minor": _I, "gross_fraction_of_nav": _F, "net_fraction_of_nav": _F,
    },
    "pnl": {
        "session": _S, "opened_ns": _I, "closed_ns": _I, "nav_open_minor": _I,
        "nav_close_minor": _I, "moved_in_minor": _I, "profit_minor": _I, "fill_count": _I,
    },
    "decisions": {
        "decision_id": _S, "session": _S, "time_ns": _I, "instrument_id": _S,
        "target_weight": _F, "model_name": _S, "model_version": _S, "feature_table_version": _S,
        "planned": _B, "blocked_reason": _S, "order_count": _I,
    },
}  # fmt: skip


class Projector:
    """Folds records one by one; `tables` may be asked for at any point."""

    def __init__(self, base_currency: str, starting_cash: Decimal | int) -> None:
        self.book = Book(base_currency, to_minor(starting_cash), keeps_all=True)
        self._fills: dict[str, dict[str, Any]] = {}
        self._sessions: dict[str, dict[str, Any]] = {}

    def take(self, record: ev.RecordedEvent) -> None:
        event = record.event
        is_move = isinstance(event, ev.CashMoved | ev.TransferBooked)
        before = self.book.ledger.deposited.get(event.currency, 0) if is_move else 0
        self.book.apply(record)
        if isinstance(event, ev.OrderFilled):
            self._fill(record.sequence, event)
        elif isinstance(event, ev.ExecutionCorrected):
            self._correct(event)
        elif isinstance(event, ev.SessionOpened):
            self._sessions.setdefault(event.session, _session(event))
        elif isinstance(event, ev.SessionClosed):
            row = self._sessions.get(event.session)
            if row is not None:
                row.update(closed_ns=event.time_ns, nav_close_minor=event.nav_minor)
        elif isinstance(event, ev.CashMoved | ev.TransferBooked):
            self._move(event.currency, self.book.ledger.deposited.get(event.currency, 0) - before)

    def _fill(self, sequence: int, fill: ev.OrderFilled) -> None:
        if fill.execution_id in self._fills:
            return
        row = {**asdict(fill), "side": fill.side.value, "sequence": sequence}
        self._fills[fill.execution_id] = row
        if self._sessions:
            next(reversed(self._sessions.values()))["fill_count"] += 1

    def _correct(self, event: ev.ExecutionCorrected) -> None:
        known = self.book.ledger.executions.get(event.execution_id)
        if known is not None and event.execution_id in self._fills:
            self._fills[event.execution_id].update(lots=known.lots, price_ticks=known.price_ticks)

    def _move(self, currency: str, deposited_minor: int) -> None:
        rate = self.book.ledger.rates.get(currency)
        if self._sessions and rate is not None:
            moved = convert_minor(deposited_minor, rate)
            next(reversed(self._sessions.values()))["moved_in_minor"] += moved

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return every table, with its columns in the order of `SCHEMAS`."""
        rows: dict[str, Rows] = {
            "orders": self._orders(),
            "fills": self._booked_fills(),
            "positions": self._positions(),
            "exposure": self._exposure(),
            "pnl": [_with_profit(row) for row in self._sessions.values()],
            "decisions": self._decisions(),
        }
        return {
            name: pl.DataFrame(
                [{c: row.get(c) for c in schema} for row in rows[name]], schema=schema, strict=True
            )
            for name, schema in SCHEMAS.items()
        }

    def _orders(self) -> Rows:
        denials = self.book.denials
        return [
            {
                **asdict(record.order),
                "client_order_id": order_id,
                "side": record.order.side.value,
                "kind": record.order.kind.value,
                "filled_lots": record.filled_lots,
                "state": record.state.value,
                "denial_code": denials[order_id].value if order_id in denials else None,
                "attempt": record.attempt,
                "intended_ns": record.intended_ns,
                "submitted_ns": record.submitted_ns,
                "broker_order_id": record.broker_order_id,
            }
            for order_id, record in self.book.orders.items()
        ]

    def _booked_fills(self) -> Rows:
        charged = self.book.ledger.commissions
        return [{**row, "commission_minor": charged.get(i)} for i, row in self._fills.items()]

    def _positions(self) -> Rows:
        return [
            {
                "instrument_id": instrument_id,
                "currency": position.currency,
                "lots": position.lots,
                "cost_minor": position.cost_minor,
                "mark_ticks": position.mark_ticks,
                "value_minor": position.value_minor,
                "unrealised_minor": position.unrealised_minor,
                "realised_minor": position.realised_minor,
            }
            for instrument_id, position in sorted(self.book.ledger.positions.items())
        ]

    def _exposure(self) -> Rows:
        ledger, rows, nav = self.book.ledger, Rows(), self.book.ledger.find_nav_minor()
        for currency in sorted({*ledger.cash, *(p.currency for p in ledger.positions.values())}):
            values = [p.value_minor for p in ledger.positions.values() if p.currency == currency]
            long, short = sum(v for v in values if v > 0), sum(v for v in values if v < 0)
            rate = ledger.rates.get(currency)
            share = float(rate) / nav if rate is not None and nav else None
            rows.append(
                {
                    "currency": currency,
                    "long_minor": long,
                    "short_minor": short,
                    "gross_minor": long - short,
                    "net_minor": long + short,
                    "cash_minor": ledger.cash.get(currency, 0),
                    "gross_fraction_of_nav": None if share is None else (long - short) * share,
                    "net_fraction_of_nav": None if share is None else (long + short) * share,
                }
            )
        return rows

    def _decisions(self) -> Rows:
        book, rows = self.book, Rows()
        for decision_id, taken in book.decisions.items():
            lineage = asdict(taken.lineage)
            for i, instrument_id in enumerate(taken.instrument_ids):
                rows.append(
                    {
                        **lineage,
                        "decision_id": decision_id,
                        "time_ns": taken.time_ns,
                        "instrument_id": instrument_id,
                        "target_weight": float(taken.target_weights[i]),
                        "planned": decision_id in book.planned,
                        "blocked_reason": book.blocked.get(decision_id),
                        "order_count": len(book.intended.get(decision_id, [])),
                    }
                )
        return rows


def _session(event: ev.SessionOpened) -> dict[str, Any]:
    return {
        "session": event.session,
        "opened_ns": event.time_ns,
        "nav_open_minor": event.nav_minor,
        "moved_in_minor": 0,
        "fill_count": 0,
    }


def _with_profit(row: dict[str, Any]) -> dict[str, Any]:
    closed = row.get("nav_close_minor")
    if closed is None:
        return row  # the session goes on
    return {**row, "profit_minor": closed - row["nav_open_minor"] - row["moved_in_minor"]}


def project(
    records: Iterable[ev.RecordedEvent], base_currency: str, starting_cash: Decimal | int
) -> dict[str, pl.DataFrame]:
    """Return every table of a log that is read from its beginning."""
    projector = Projector(base_currency, starting_cash)
    for record in records:
        projector.take(record)
    return projector.tables()


def write_tables(tables: Mapping[str, pl.DataFrame], folder: Path) -> list[Path]:
    """Write each table as Parquet; every file is there whole, or as it was before."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        part = path.with_suffix(".part")
        try:
            table.write_parquet(part)
            part.replace(path)
        except (OSError, pl.exceptions.ComputeError) as error:
            raise OSError(f"{path} must be writable: {error}") from error
        finally:
            part.unlink(missing_ok=True)
        written.append(path)
    return written
