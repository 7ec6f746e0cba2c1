"""The tables of the house: their columns, keys and times, named once for every floor."""

from dataclasses import dataclass

import polars as pl

UTC_TIME = pl.Datetime("us", "UTC")

# What every dated row carries: when it was true, when it could be known, and its raw address.
_TIMES: dict[str, pl.DataType] = {"event_time": UTC_TIME, "knowledge_time": UTC_TIME}
_ORIGIN: dict[str, pl.DataType] = {"source": pl.String(), "source_row": pl.Int64()}


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One table: columns in order, the key of a record, and which values may be null.

    A record is named by `key`; a later `knowledge_time` under the same key is a new version of
    it. `required` columns may never be null. Rows that were stored before a column of `added` came
    to the table have null there.
    """

    name: str
    columns: dict[str, pl.DataType]
    key: tuple[str, ...]
    required: tuple[str, ...]
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        named = (*self.key, *self.required, *self.added)
        unknown = [c for c in named if c not in self.columns]
        if unknown:
            raise ValueError(f"columns that {self.name} names must be its own, were {unknown}")

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table with no rows."""
        return pl.DataFrame(schema=self.columns)

    def widened(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows that were stored before this table had all of its columns, with nulls there.

        Other columns and the order stay as they are.
        """
        later = [c for c in self.columns if c not in rows.columns and c not in self.required]
        return rows.with_columns(pl.lit(None, dtype=self.columns[c]).alias(c) for c in later)

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows in this table's columns, order and types; absent optional ones are null.

        Raises ValueError where a required column is missing or a type cannot be cast.
        """
        missing = [c for c in self.required if c not in rows.columns]
        if missing:
            raise ValueError(f"{self.name} must have the columns {missing}, had {rows.columns}")
        exprs = [
            pl.col(c).cast(t) if c in rows.columns else pl.lit(None, dtype=t).alias(c)
            for c, t in self.columns.items()
        ]
        try:
            return rows.select(exprs)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{self.name} must have the types of its schema: {error}") from error


BARS = TableSchema(
    name="bars",
    columns={
        "instrument_id": pl.String(),
        "interval": pl.String(),  # "1d", "1h", "1m"
        **_TIMES,  # event_time is the close of the bar
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
        "adjustment": pl.String(),  # "raw", "split" or "total_return"
        "currency": pl.String(),
        **_ORIGIN,
    },
    key=("instrument_id", "interval", "event_time", "source"),
    required=("instrument_id", "interval", "event_time", "knowledge_time", "close", "source"),
)

QUOTES = TableSchema(
    name="quotes",
    columns={
        "instrument_id": pl.String(),
        "interval": pl.String(),
        **_TIMES,
        "bid": pl.Float64(),
        "ask": pl.Float64(),
        "bid_size": pl.Float64(),
        "ask_size": pl.Float64(),
        "currency": pl.String(),
        **_ORIGIN,
    },
    key=("instrument_id", "interval", "event_time", "source"),
    required=("instrument_id", "event_time", "knowledge_time", "bid", "ask", "source"),
)

TRADES = TableSchema(
    name="trades",
    columns={
        "instrument_id": pl.String(),
        **_TIMES,
        "price": pl.Float64(),
        "size": pl.Float64(),
        "sequence": pl.Int64(),  # order within one event_time, as published
        "currency": pl.String(),
        **_ORIGIN,
    },
    key=("instrument_id", "event_time", "sequence", "source"),
    required=("instrument_id", "event_time", "knowledge_time", "price", "source"),
)

ACTION_KINDS = ("split", "dividend", "rename", "spin_off", "merger", "delisting", "halt")

CORPORATE_ACTIONS = TableSchema(
    name="corporate_actions",
    columns={
        "instrument_id": pl.String(),
        **_TIMES,  # event_time is the ex-date
        "kind": pl.String(),  # one of ACTION_KINDS
        "ratio": pl.Float64(),  # new shares for one old share
        "amount": pl.Float64(),  # cash for one share
        "currency": pl.String(),
        "detail": pl.String(),  # the instrument that a spin-off or a merger gives
        "end_time": UTC_TIME,  # when a dividend is paid, or a halt ends; null where not known
        **_ORIGIN,
    },
    key=("instrument_id", "event_time", "kind", "source"),
    required=("instrument_id", "event_time", "knowledge_time", "kind", "source"),
)

NEWS = TableSchema(
    name="news",
    columns={
        "news_id": pl.String(),  # hash of source and text: the same item is the same id
        **_TIMES,
        "instrument_id": pl.String(),  # null where the item names none
        "headline": pl.String(),
        "body": pl.String(),
        "language": pl.String(),
        "precision": pl.String(),  # "day", "minute", "second": how exact the stamp is
        **_ORIGIN,
    },
    key=("news_id",),
    required=("news_id", "event_time", "knowledge_time", "headline", "source"),
)

MACRO = TableSchema(
    name="macro",
    columns={
        "series_id": pl.String(),
        **_TIMES,  # event_time is the reference period, knowledge_time the vintage
        "value": pl.Float64(),
        "unit": pl.String(),
        **_ORIGIN,
    },
    key=("series_id", "event_time", "source"),
    required=("series_id", "event_time", "knowledge_time", "value", "source"),
)

OPTIONS = TableSchema(
    name="options",
    columns={
        "instrument_id": pl.String(),
        "underlying_id": pl.String(),
        **_TIMES,
        "expiry": pl.Date(),
        "strike": pl.Float64(),
        "right": pl.String(),  # "C" or "P"
        "bid": pl.Float64(),
        "ask": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
        "open_interest": pl.Float64(),
        "implied_volatility": pl.Float64(),  # a fraction a year; null where not computed
        "delta": pl.Float64(),
        "underlying_close": pl.Float64(),
        "currency": pl.String(),
        **_ORIGIN,
    },
    key=("instrument_id", "event_time", "source"),
    required=("instrument_id", "underlying_id", "event_time", "knowledge_time", "expiry", "source"),
)

FUNDAMENTALS = TableSchema(
    name="fundamentals",
    columns={
        "instrument_id": pl.String(),
        **_TIMES,  # event_time is the end of the period
        "metric": pl.String(),
        "period": pl.String(),  # "FY", "Q1", ...
        "value": pl.Float64(),
        "currency": pl.String(),
        **_ORIGIN,
    },
    key=("instrument_id", "event_time", "metric", "period", "source"),
    required=("instrument_id", "event_time", "knowledge_time", "metric", "source"),
)

MEMBERSHIP = TableSchema(
    name="membership",
    columns={
        "index_id": pl.String(),
        "instrument_id": pl.String(),
        **_TIMES,  # event_time is the first day of the spell
        "end_time": UTC_TIME,  # null while it is a member
        **_ORIGIN,
    },
    key=("index_id", "instrument_id", "event_time", "source"),
    required=("index_id", "instrument_id", "event_time", "knowledge_time", "source"),
)

INSTRUMENTS = TableSchema(
    name="instruments",
    columns={
        "instrument_id": pl.String(),  # an identity for ever; tickers come and go
        "ticker": pl.String(),
        "valid_from": pl.Date(),
        "valid_to": pl.Date(),  # exclusive; null while the ticker is in use
        "name": pl.String(),
        "asset_class": pl.String(),
        "currency": pl.String(),
        "venue": pl.String(),
        "calendar": pl.String(),  # a name of exchange_calendars, e.g. "XNYS", "24/7"
        "sector": pl.String(),
        "price_increment": pl.String(),  # decimal text: exact
        "size_increment": pl.String(),
        "multiplier": pl.String(),
        "source": pl.String(),
    },
    key=("instrument_id", "ticker", "valid_from"),
    required=("instrument_id", "ticker", "asset_class", "currency", "calendar"),
)

TABLES: dict[str, TableSchema] = {
    t.name: t
    for t in (
        BARS,
        QUOTES,
        TRADES,
        CORPORATE_ACTIONS,
        NEWS,
        MACRO,
        OPTIONS,
        FUNDAMENTALS,
        MEMBERSHIP,
        INSTRUMENTS,
    )
}

QUARANTINE_COLUMNS: dict[str, pl.DataType] = {
    "table": pl.String(),
    "rule": pl.String(),
    "kind": pl.String(),  # "bad_print", "unadjusted_split", "spin_off", "stale", ...
    "confidence": pl.Float64(),  # 0 to 1
    "severity": pl.String(),  # "info", "warn", "quarantine", "block"
    "reason": pl.String(),
    **_TIMES,
    **_ORIGIN,
    "row": pl.String(),  # the whole row as JSON: nothing is lost
}

# The kind of a row that was read and stays, though a later delivery of its data set lacks it.
MISSING_LATER = "missing_later"


def dated_instruments(rows: pl.DataFrame) -> pl.DataFrame:
    """Return instrument rows with the times a stored table needs: known since their ticker was."""
    since = pl.col("valid_from").fill_null(pl.date(1900, 1, 1)).cast(UTC_TIME)
    return rows.with_columns(event_time=since, knowledge_time=since)
