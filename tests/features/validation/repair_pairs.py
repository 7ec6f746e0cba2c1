"""Reading the repair pairs: real bad bars, their reviewed repair, and what changed between."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from features.schemas import BARS, CORPORATE_ACTIONS, INSTRUMENTS
from features.validation import CheckContext, ValidationReport, check
from tests.shared_data import SHARED

FOLDER = SHARED / "repair_pairs"
_ADJUSTED = {"open": None, "high": None, "low": None, "volume": None}


@dataclass(frozen=True)
class Market:
    """Bars (price and total-return), actions and the time axis of one file."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    stamps: pl.DataFrame

    def context(self, **changes: object) -> CheckContext:
        values: dict[str, object] = {
            "as_of": self.bars["knowledge_time"].max() + timedelta(hours=1),
            "corporate_actions": self.actions,
            "reference": self.bars,
            "instruments": INSTRUMENTS.empty(),
        }
        return CheckContext(**{**values, **changes})

    def check(self) -> tuple[ValidationReport, ValidationReport]:
        """Return the reports over the bars and over the corporate actions."""
        bars = check("bars", self.bars, context=self.context(reference=None))
        return bars, check("corporate_actions", self.actions, context=self.context())


def pairs() -> list[str]:
    return sorted(p.name.removesuffix("-fixed.csv") for p in FOLDER.glob("*-fixed.csv"))


def controls() -> list[str]:
    return sorted(p.stem for p in FOLDER.glob("*-no-bad-*.csv"))


def read_market(path: Path) -> Market:
    """Read one file: OHLC as split-adjusted bars, Adj Close as total-return bars, payments."""
    raw = pl.read_csv(path, infer_schema_length=None)
    stamp = raw.columns[0]
    raw = (
        raw.rename({stamp: "stamp"})
        .with_columns(pl.col("stamp").str.to_datetime("%Y-%m-%d %H:%M:%S%:z", time_unit="us"))
        .with_columns(pl.col("stamp").dt.convert_time_zone("UTC"))
        .with_row_index("source_row")
    )
    interval = "1h" if "-1h-" in path.name else "1d"
    at = pl.col("stamp") + pl.duration(hours=1 if interval == "1h" else 17)
    shared = raw.select(
        pl.lit("X." + path.name.split("-1")[0]).alias("instrument_id"),
        pl.lit(interval).alias("interval"),
        at.alias("event_time"),
        (at + pl.duration(hours=1)).alias("knowledge_time"),
        pl.col("source_row").cast(pl.Int64),
        *[pl.col(c.title()).cast(pl.Float64).alias(c) for c in ("open", "high", "low", "close")],
        pl.col("Volume").cast(pl.Float64).alias("volume"),
        pl.col("Adj Close").cast(pl.Float64).alias("adj_close"),
        pl.col("Dividends").cast(pl.Float64).alias("amount"),
        pl.col("Stock Splits").cast(pl.Float64).alias("ratio"),
    )
    price = shared.drop_nulls("close").with_columns(
        adjustment=pl.lit("split"), source=pl.lit("x@price")
    )
    adjusted = shared.drop_nulls("close").with_columns(
        pl.col("adj_close").alias("close"),
        adjustment=pl.lit("total_return"),
        source=pl.lit("x@adj"),
        **{c: pl.lit(None, pl.Float64) for c in _ADJUSTED},
    )
    bars = pl.concat([BARS.conform(price), BARS.conform(adjusted)])
    actions = pl.concat(
        CORPORATE_ACTIONS.conform(
            shared.filter(pl.col(column) != 0).select(
                pl.exclude("amount", "ratio"),
                column,
                kind=pl.lit(kind),
                source=pl.lit("x@actions"),
            )
        )
        for column, kind in (("amount", "dividend"), ("ratio", "split"))
    )
    return Market(bars, actions, shared)


def changed_rows(name: str) -> tuple[set[tuple[str, int]], set[int]]:
    """Return what the repair changed: (series, source_row) of bars, and rows with a payment."""
    bad = read_market(FOLDER / f"{name}.csv").stamps
    good = read_market(FOLDER / f"{name}-fixed.csv").stamps
    both = bad.join(good, on="event_time", suffix="_good")

    def differs(columns: list[str]) -> pl.Expr:
        parts = [
            ((pl.col(c) - pl.col(f"{c}_good")).abs() > 2e-3 * pl.col(f"{c}_good").abs())
            | (pl.col(c).is_finite() != pl.col(f"{c}_good").is_finite())
            for c in columns
        ]
        return pl.any_horizontal(parts)

    price = both.filter(differs(["open", "high", "low", "close"]))["source_row"]
    adjusted = both.filter(differs(["adj_close"]))["source_row"]
    paid = both.filter(differs(["amount"]))["source_row"]
    rows = {("price", r) for r in price} | {("adj", r) for r in adjusted}
    return rows, set(paid)


NOW = datetime(2026, 11, 1, tzinfo=UTC)
