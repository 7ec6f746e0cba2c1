"""Forward-return labels: what a position opened after a decision earned, net of costs."""

import math
from datetime import datetime

import polars as pl

from features.schemas import UTC_TIME

ENTRIES = ("next_open", "next_close")
# Adjusted series first: a label over an unadjusted split is not a return anybody earned.
_ADJUSTMENT_ORDER = {"total_return": 0, "split": 1, "raw": 2}
_KEY = "instrument_id"
_VERSIONS_OF = (_KEY, "event_time", "source", "adjustment")
# A restatement for a split or a payment leaves the returns as they were, but for the rounding of
# prices: to ten basis points it is the same return.
_SAME_RETURN = 1e-3


def forward_returns(
    bars: pl.DataFrame,
    horizon_sessions: int,
    cost_bps: float,
    *,
    entry: str = "next_open",
    risk_scaled: bool = False,
    volatility_sessions: int = 63,
    gap_days_max: int = 10,
    known_by: datetime | None = None,
    delistings: pl.DataFrame | None = None,
    delisting_return: float = -0.3,
) -> pl.DataFrame:
    """Return one label row for each bar: the return of the next `horizon_sessions` bars.

    A decision after the close at `event_time` trades at the next bar's open (where the series has
    none, or with entry="next_close", at the next bar's close) and leaves `horizon_sessions` bars
    of holding later, at a close. Columns:

    - `forward_return`: exit / entry - 1, before costs, a fraction.
    - `net_return`: the same, moved towards zero by two sides of `cost_bps`: what is left for
      whoever took the right side; zero where the move does not pay for the trade.
    - `sigma`: trailing volatility of the bar returns known at `event_time`, a fraction a bar.
    - `label`: net_return, divided by sigma * sqrt(horizon) where `risk_scaled`.
    - `label_end_time`, `label_knowledge_time`: when the exit happened and could be known.
    - `label_status`: complete, delisted, pending (not over yet), gap (a hole of more than
      `gap_days_max` days inside) or no_price; only the first two carry values.

    Only bars with knowledge_time <= `known_by` are read, the newest version of each, from one
    series an instrument. A later version that leaves a return as it was first known (a split or a
    payment that restates all prices) does not make its label late: the label is the first one.
    `delistings` are corporate_actions rows of that kind: a holder then
    leaves at `amount`, or else at the last close times 1 + `delisting_return` (the -30 % of
    Shumway 1997 for delistings for cause). Raises ValueError on arguments out of bounds.
    """
    _check(horizon_sessions, cost_bps, entry, volatility_sessions)
    series = one_series(bars, known_by)
    series = series.join(
        _first_versions(bars), on=_VERSIONS_OF, how="left", nulls_equal=True, maintain_order="left"
    )
    paths = _as_first_known(_paths(series, horizon_sessions, entry, gap_days_max))
    paths = _close_delisted(paths, delistings, known_by, delisting_return)
    sigma = _trailing_sigma(volatility_sessions)
    return _returns(paths.with_columns(sigma), horizon_sessions, cost_bps, risk_scaled)


def one_series(bars: pl.DataFrame, known_by: datetime | None = None) -> pl.DataFrame:
    """Return one series an instrument: newest versions, adjusted before raw, then the longest.

    Prices of two sources have different bases; a return across them is an artefact. Raises
    ValueError where the bars have more than one interval.
    """
    intervals = bars["interval"].unique().to_list() if "interval" in bars.columns else ["1d"]
    if len(intervals) > 1:
        raise ValueError(f"bars must have one interval, were of {sorted(intervals)}")
    known = bars if known_by is None else bars.filter(pl.col("knowledge_time") <= known_by)
    known = _with_origin(known).filter(pl.col("close").is_not_null())
    newest = known.sort("knowledge_time").unique(
        list(_VERSIONS_OF), keep="last", maintain_order=True
    )
    order = pl.col("adjustment").replace_strict(_ADJUSTMENT_ORDER, default=3)
    chosen = (
        newest.group_by(_KEY, "source", "adjustment")
        .agg(pl.len().alias("bar_count"))
        .sort([_KEY, order, pl.col("bar_count") * -1, "source"])
        .unique(_KEY, keep="first", maintain_order=True)
        .drop("bar_count")
    )
    return newest.join(chosen, on=[_KEY, "source", "adjustment"], nulls_equal=True).sort(
        _KEY, "event_time"
    )


def _first_versions(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the prices of each bar as they were first published, and when."""
    written = _with_origin(bars).filter(pl.col("close").is_not_null())
    return (
        written.sort("knowledge_time", maintain_order=True)
        .unique(list(_VERSIONS_OF), keep="first", maintain_order=True)
        .select(*_VERSIONS_OF, pl.col("open", "close", "knowledge_time").name.prefix("first_"))
    )


def _as_first_known(paths: pl.DataFrame) -> pl.DataFrame:
    """Return the paths with the prices and the time of their first versions where those stand."""
    newest = pl.col("exit_price") / pl.col("entry_price")
    first = pl.col("first_exit_price") / pl.col("first_entry_price")
    stands = ((first - newest).abs() <= _SAME_RETURN * newest.abs()) & first.is_finite()
    columns = ("entry_price", "exit_price", "label_knowledge_time")
    return paths.with_columns(
        pl.when(stands).then(pl.col(f"first_{c}")).otherwise(pl.col(c)).alias(c) for c in columns
    )


def _check(horizon_sessions: int, cost_bps: float, entry: str, volatility_sessions: int) -> None:
    if not 1 <= horizon_sessions <= 252:
        raise ValueError(f"horizon_sessions must be in 1..252, was {horizon_sessions}")
    if not 0 <= cost_bps <= 1_000:
        raise ValueError(f"cost_bps must be in 0..1000, was {cost_bps}")
    if entry not in ENTRIES:
        raise ValueError(f"entry must be one of {ENTRIES}, was {entry!r}")
    if not 5 <= volatility_sessions <= 504:
        raise ValueError(f"volatility_sessions must be in 5..504, was {volatility_sessions}")


def _with_origin(bars: pl.DataFrame) -> pl.DataFrame:
    missing = [c for c in ("open", "source", "adjustment") if c not in bars.columns]
    types = {"open": pl.Float64(), "source": pl.String(), "adjustment": pl.String()}
    return bars.with_columns(pl.lit(None, dtype=types[c]).alias(c) for c in missing)


def _paths(series: pl.DataFrame, horizon: int, entry: str, gap_days_max: int) -> pl.DataFrame:
    """Add entry and exit of every bar's holding period, and whether a hole lies inside."""

    def ahead(column: str, bars: int) -> pl.Expr:
        return pl.col(column).shift(-bars).over(_KEY)

    gap = (pl.col("event_time").diff() > pl.duration(days=gap_days_max)).over(_KEY)
    series = series.with_columns(gap.fill_null(False).cum_sum().over(_KEY).alias("holes"))
    at_open = ahead("open", 1).is_not_null() if entry == "next_open" else pl.lit(False)

    def at_exit(column: str) -> pl.Expr:
        return pl.when("at_open").then(ahead(column, horizon)).otherwise(ahead(column, horizon + 1))

    def prices(version: str) -> tuple[pl.Expr, ...]:
        entered = pl.when("at_open").then(ahead(f"{version}open", 1))
        known = f"{version}knowledge_time"
        return (
            entered.otherwise(ahead(f"{version}close", 1)).alias(f"{version}entry_price"),
            at_exit(f"{version}close").alias(f"{version}exit_price"),
            pl.max_horizontal(ahead(known, 1), at_exit(known)).alias(
                f"{version}label_knowledge_time"
            ),
        )

    return series.with_columns(at_open.alias("at_open")).with_columns(
        *prices(""),
        *prices("first_"),
        at_exit("event_time").alias("label_end_time"),
        (at_exit("holes") != pl.col("holes")).alias("has_hole"),
    )


def _close_delisted(
    paths: pl.DataFrame,
    delistings: pl.DataFrame | None,
    known_by: datetime | None,
    delisting_return: float,
) -> pl.DataFrame:
    """Give rows whose instrument ended while held the price its holders left at."""
    ends = _delisting_ends(delistings, known_by)
    last_close = pl.col("close").last().over(_KEY)
    out = pl.col("exit_price").is_null() & pl.col("ended").is_not_null()
    out = out & (pl.col("ended") > pl.col("event_time")) & pl.col("entry_price").is_not_null()
    left_at = pl.coalesce("cash", last_close * (1.0 + delisting_return))
    return (
        paths.join(ends, on=_KEY, how="left", maintain_order="left")
        .with_columns(out.alias("is_delisted"))
        .with_columns(
            pl.when("is_delisted").then(left_at).otherwise("exit_price").alias("exit_price"),
            pl.when("is_delisted")
            .then("ended")
            .otherwise("label_end_time")
            .alias("label_end_time"),
            pl.when("is_delisted")
            .then(pl.max_horizontal("label_knowledge_time", "ended_known"))
            .otherwise("label_knowledge_time")
            .alias("label_knowledge_time"),
        )
    )


def _delisting_ends(delistings: pl.DataFrame | None, known_by: datetime | None) -> pl.DataFrame:
    columns = [_KEY, "ended", "ended_known", "cash"]
    if delistings is None:
        types = (pl.String, UTC_TIME, UTC_TIME, pl.Float64)
        return pl.DataFrame(schema=dict(zip(columns, types, strict=True)))
    rows = delistings.filter(pl.col("kind") == "delisting")
    if known_by is not None:
        rows = rows.filter(pl.col("knowledge_time") <= known_by)
    newest = rows.sort("event_time", "knowledge_time").unique(_KEY, keep="last")
    return newest.select(
        _KEY,
        pl.col("event_time").alias("ended"),
        pl.col("knowledge_time").alias("ended_known"),
        pl.col("amount").cast(pl.Float64).alias("cash"),
    )


def _trailing_sigma(sessions: int) -> pl.Expr:
    change = (pl.col("close") / pl.col("close").shift(1) - 1.0).over(_KEY)
    sigma = change.rolling_std(sessions, min_samples=max(5, sessions // 3)).over(_KEY)
    # A frozen price has no volatility; one basis point keeps its risk-scaled label finite.
    return sigma.clip(lower_bound=1e-4).alias("sigma")


def _returns(paths: pl.DataFrame, horizon: int, cost_bps: float, risk_scaled: bool) -> pl.DataFrame:
    gross = pl.col("exit_price") / pl.col("entry_price") - 1.0
    round_trip = 2.0 * cost_bps / 10_000.0
    net = pl.col("forward_return").sign() * (pl.col("forward_return").abs() - round_trip).clip(0.0)
    scale = pl.col("sigma") * math.sqrt(horizon) if risk_scaled else pl.lit(1.0)
    status = (
        pl.when(pl.col("exit_price").is_null())
        .then(pl.lit("pending"))
        .when(pl.col("has_hole").fill_null(False))
        .then(pl.lit("gap"))
        .when(~(pl.col("entry_price") > 0))
        .then(pl.lit("no_price"))
        .when("is_delisted")
        .then(pl.lit("delisted"))
        .otherwise(pl.lit("complete"))
    )
    usable = pl.col("label_status").is_in(["complete", "delisted"])
    return (
        paths.with_columns(status.alias("label_status"))
        .with_columns(pl.when(usable).then(gross).alias("forward_return"))
        .with_columns(net.alias("net_return"))
        .with_columns((pl.col("net_return") / scale).alias("label"))
        .with_columns(
            pl.when(pl.col("exit_price").is_not_null()).then(c).alias(c)
            for c in ("label_end_time", "label_knowledge_time")
        )
        .select(
            *(_KEY, "event_time", "label_end_time", "label_knowledge_time"),
            *("entry_price", "exit_price", "forward_return", "net_return"),
            *("sigma", "label", "label_status"),
        )
    )
