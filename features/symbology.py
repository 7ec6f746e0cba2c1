"""Who an instrument is: a ticker means another one on another day, an identity lasts for ever."""

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from features.schemas import INSTRUMENTS
from features.text_format import format_text

_BEGINNING = date(1, 1, 1)  # an open valid_from: the ticker was always this instrument's
_SPELL = ("instrument_id", "ticker", "valid_from", "valid_to")


class UnknownTickerError(LookupError):
    """No instrument bears the ticker on the day asked for."""


class AmbiguousTickerError(LookupError):
    """Several instruments bear the ticker on the day asked for."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Rows whose ticker named one instrument, and those whose ticker named none or several."""

    resolved: pl.DataFrame
    unresolved: pl.DataFrame


def resolve(instruments: pl.DataFrame, ticker: str, at: date | datetime) -> str:
    """Return the instrument_id that bears the ticker on the day (UTC day of a moment).

    Raises UnknownTickerError where none does, AmbiguousTickerError where several do.
    """
    day = at.date() if isinstance(at, datetime) else at
    spells = instruments.filter(pl.col("ticker") == ticker)
    bearers = sorted(set(spells.filter(_valid_on(pl.lit(day)))["instrument_id"]))
    if len(bearers) == 1:
        return bearers[0]
    if bearers:
        raise AmbiguousTickerError(
            f"ticker {ticker!r} must name one instrument on {day}, was {', '.join(bearers)}"
        )
    known = "; ".join(_describe(row) for row in spells.select(_SPELL).unique().sort(_SPELL).rows())
    raise UnknownTickerError(
        f"ticker {ticker!r} must name an instrument on {day}, was {known or 'never in use'}"
    )


def tickers_of(instruments: pl.DataFrame, instrument_id: str) -> pl.DataFrame:
    """Return the instrument's tickers in time: ticker, valid_from, valid_to (exclusive)."""
    spells = instruments.filter(pl.col("instrument_id") == instrument_id)
    if spells.is_empty():
        raise UnknownTickerError(f"instrument_id must be a known one, was {instrument_id!r}")
    return spells.select("ticker", "valid_from", "valid_to").unique().sort("valid_from")


def resolve_rows(
    rows: pl.DataFrame, instruments: pl.DataFrame, *, ticker: str = "ticker", day: str = "day"
) -> Resolution:
    """Name the instrument of each row by its ticker on its day, all rows in one join.

    `rows` has the ticker and day columns named; `resolved` gains instrument_id and keeps the
    order, `unresolved` gains `reason` (the sentence that `resolve` would raise).
    """
    order = "row_in_resolution"
    asked = rows.with_row_index(order)
    spells = instruments.select(_SPELL).unique()
    bearers = (
        asked.select(order, pl.col(ticker).alias("ticker"), pl.col(day).alias("asked_day"))
        .join(spells, on="ticker", how="inner")
        .filter(_valid_on(pl.col("asked_day")))
        .group_by(order)
        .agg(pl.col("instrument_id").unique().sort().alias("bearers"))
    )
    named = asked.join(bearers, on=order, how="left", maintain_order="left").drop(order)
    one = pl.col("bearers").list.len() == 1
    resolved = named.filter(one).with_columns(instrument_id=pl.col("bearers").list.first())
    failed = named.filter(~one | pl.col("bearers").is_null()).with_columns(
        reason=pl.when(pl.col("bearers").is_null())
        .then(format_text("ticker {} must name an instrument on {}, named none", ticker, day))
        .otherwise(
            format_text(
                "ticker {} must name one instrument on {}, named {}",
                ticker, day, pl.col("bearers").list.join(", "),
            )
        )
    )  # fmt: skip
    return Resolution(resolved.drop("bearers"), failed.drop("bearers"))


def overlapping_spells(instruments: pl.DataFrame) -> pl.DataFrame:
    """Return the spells of one ticker at one venue that overlap another instrument's spell.

    Columns: ticker, venue, instrument_id, other_id, valid_from. Empty for a sound table.
    """
    spells = instruments.select(*_SPELL, "venue").unique()
    pairs = spells.join(spells, on=["ticker", "venue"], how="inner", nulls_equal=True)
    starts = pl.col("valid_from_right").fill_null(_BEGINNING)
    begins_inside = (starts >= pl.col("valid_from").fill_null(_BEGINNING)) & (
        pl.col("valid_to").is_null() | (starts < pl.col("valid_to"))
    )
    return (
        pairs.filter((pl.col("instrument_id") != pl.col("instrument_id_right")) & begins_inside)
        .select("ticker", "venue", "instrument_id", pl.col("instrument_id_right").alias("other_id"),
                pl.col("valid_from_right").alias("valid_from"))
        .sort("ticker", "instrument_id", "other_id")
    )  # fmt: skip


def merge(*tables: pl.DataFrame) -> pl.DataFrame:
    """Return one INSTRUMENTS table of several sources; the first source to name a spell wins."""
    rows = pl.concat([INSTRUMENTS.conform(table) for table in tables])
    return rows.unique(INSTRUMENTS.key, keep="first", maintain_order=True).sort(
        *INSTRUMENTS.key, nulls_last=False
    )


def _valid_on(day: pl.Expr) -> pl.Expr:
    begun = pl.col("valid_from").is_null() | (pl.col("valid_from") <= day)
    return begun & (pl.col("valid_to").is_null() | (pl.col("valid_to") > day))


def _describe(spell: tuple[str, str, date | None, date | None]) -> str:
    instrument_id, _, begin, end = spell
    return f"{instrument_id} from {begin or 'the beginning'} to {end or 'now'}"
