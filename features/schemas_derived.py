"""The tables that the platform computes itself: features, forecasts, decisions, orders, money.

Every one is a `TableSchema`, so that it is written, read, tiered and traced like a source table.
`event_time` is the close of the session that the row speaks of; `knowledge_time` is when the row
was computed, and never lies before the newest datum it was computed from.
"""

import polars as pl

from features.schemas import QUARANTINE_COLUMNS, UTC_TIME, TableSchema

_TIMES: dict[str, pl.DataType] = {"event_time": UTC_TIME, "knowledge_time": UTC_TIME}

FEATURES_BASE = TableSchema(
    name="features",  # wide: one Float64 column per feature follows these, null where not known
    columns={"instrument_id": pl.String(), **_TIMES, "as_of": UTC_TIME},
    key=("instrument_id", "event_time"),
    required=("instrument_id", "event_time", "knowledge_time", "as_of"),
)

FORECASTS = TableSchema(
    name="forecasts",
    columns={
        "instrument_id": pl.String(),
        **_TIMES,
        "as_of": UTC_TIME,
        "forecast": pl.Float64(),  # cross-sectional z-score
        "expected_return": pl.Float64(),  # a fraction over the label's horizon
        "model_name": pl.String(),
        "model_version": pl.String(),
    },
    key=("instrument_id", "event_time", "model_name", "model_version"),
    required=("instrument_id", "event_time", "knowledge_time", "as_of", "model_name"),
)

DECISIONS = TableSchema(
    name="decisions",
    columns={
        "decision_id": pl.String(),
        "session": pl.Date(),
        **_TIMES,
        "instrument_id": pl.String(),
        "conviction": pl.Float64(),  # in [-1, 1]
        "target_weight": pl.Float64(),  # a fraction of NAV
        "reason": pl.String(),
        "regime": pl.String(),  # the likeliest one
        "colony_state_digest": pl.String(),  # after the step
    },
    key=("decision_id", "instrument_id"),
    required=("decision_id", "session", "event_time", "instrument_id", "target_weight"),
)

DECISION_CONTRIBUTIONS = TableSchema(
    name="decision_contributions",
    columns={
        "decision_id": pl.String(),
        "session": pl.Date(),
        **_TIMES,
        "instrument_id": pl.String(),
        "sense": pl.String(),
        "contribution": pl.Float64(),  # over the senses they sum to the conviction
    },
    key=("decision_id", "instrument_id", "sense"),
    required=("decision_id", "session", "event_time", "instrument_id", "sense", "contribution"),
)

REGIMES = TableSchema(
    name="regimes",
    columns={
        "session": pl.Date(),
        **_TIMES,
        "regime": pl.String(),
        "probability": pl.Float64(),  # filtered; over the regimes of a session they sum to 1
    },
    key=("session", "regime"),
    required=("session", "event_time", "regime", "probability"),
)

TRAILS = TableSchema(
    name="trails",
    columns={
        "session": pl.Date(),
        **_TIMES,
        "instrument_id": pl.String(),
        "channel": pl.String(),  # "long", "short", "danger", "success", "rejection"
        "value": pl.Float64(),
    },
    key=("session", "instrument_id", "channel"),
    required=("session", "event_time", "instrument_id", "channel", "value"),
)

ORDERS = TableSchema(
    name="orders",
    columns={
        "order_id": pl.String(),  # the client order id
        "decision_id": pl.String(),
        "session": pl.Date(),
        **_TIMES,  # event_time is when the order was made
        "instrument_id": pl.String(),
        "side": pl.String(),  # "buy" or "sell"
        "quantity": pl.Float64(),  # units of the instrument; the ledger holds the exact lots
        "reference_price": pl.Float64(),
        "verdict": pl.String(),  # "approved" or "denied"
        "denial_code": pl.String(),  # null where approved
        "detail": pl.String(),  # the verdict's numbers
        "status": pl.String(),  # "approved", "denied", "submitted", "accepted", "filled", ...
    },
    key=("order_id",),
    required=("order_id", "decision_id", "session", "event_time", "instrument_id", "side"),
)

FILLS = TableSchema(
    name="fills",
    columns={
        "fill_id": pl.String(),  # the venue's execution id
        "order_id": pl.String(),
        "session": pl.Date(),
        **_TIMES,
        "instrument_id": pl.String(),
        "side": pl.String(),
        "quantity": pl.Float64(),
        "price": pl.Float64(),
        "currency": pl.String(),
        "cost": pl.Float64(),  # commission and fees, in `currency`
        "slippage_bps": pl.Float64(),  # against the order's reference price; positive is worse
    },
    key=("fill_id",),
    required=("fill_id", "order_id", "session", "event_time", "instrument_id", "quantity", "price"),
)

POSITIONS = TableSchema(
    name="positions",
    columns={
        "session": pl.Date(),
        **_TIMES,
        "instrument_id": pl.String(),
        "quantity": pl.Float64(),
        "price": pl.Float64(),
        "value": pl.Float64(),  # in the base currency
        "weight": pl.Float64(),  # a fraction of NAV
    },
    key=("session", "instrument_id"),
    required=("session", "event_time", "instrument_id", "quantity"),
)

NAV = TableSchema(
    name="nav",
    columns={
        "session": pl.Date(),
        **_TIMES,
        "nav_minor": pl.Int64(),  # exact, in minor units of the base currency
        "nav": pl.Float64(),  # the same in units, for pictures
        "cash": pl.Float64(),
        "gross": pl.Float64(),  # fractions of NAV
        "net": pl.Float64(),
        "drawdown_fraction": pl.Float64(),  # 0 at a high, positive below it
        "benchmark": pl.Float64(),  # level of the benchmark; null where there is none
        "moved_in": pl.Float64(),  # capital that the owner has moved in since the start, in units
    },
    key=("session",),
    required=("session", "event_time", "nav_minor", "nav"),
    added=("moved_in",),
)

QUARANTINE = TableSchema(
    name="quarantine",
    columns=QUARANTINE_COLUMNS,
    key=("table", "rule", "source", "source_row", "event_time"),
    required=("table", "rule", "severity", "reason", "source"),
)

DERIVED_TABLES: dict[str, TableSchema] = {
    t.name: t
    for t in (
        FEATURES_BASE,
        FORECASTS,
        DECISIONS,
        DECISION_CONTRIBUTIONS,
        REGIMES,
        TRAILS,
        ORDERS,
        FILLS,
        POSITIONS,
        NAV,
        QUARANTINE,
    )
}
