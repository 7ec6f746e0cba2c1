"""Rates of foreign currencies out of bars of currency pairs, as they were known at a moment.

A pair is an instrument of class `fx` whose ticker is two currencies (EURUSD, EUR/USD, EUR.USD):
its price is units of the second for one unit of the first. A rate comes by one way only, the first
of these that has bars:

1. the pair of the currency and the base,
2. the pair of the base and the currency, one divided by it,
3. two pairs with one currency in common (the ECB quotes everything against the euro), divided, both
   of the same moment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal

import polars as pl

from features.calendars import day_of
from features.schemas import UTC_TIME
from features.series import select_series

RATE_AGE_MAX = timedelta(days=7)  # an older rate is none: the ECB's longest pause is five days
SCHEMA: dict[str, pl.DataType] = {
    "currency": pl.String(),
    "event_time": UTC_TIME,
    "knowledge_time": UTC_TIME,
    "above": pl.Float64(),  # above / below are base currency units for one unit
    "below": pl.Float64(),
}
_DIGITS = Context(prec=12)
_SMALLEST = Decimal("1e-18")  # ratios of whole numbers must fit 64 bits
_PAIR = re.compile(r"([A-Z]{3})[/.\-_ ]?([A-Z]{3})(=X)?")
_Leg = tuple[str, str, str]  # instrument, its first currency, its second


@dataclass(frozen=True, slots=True)
class MissingRate:
    """A moment at which a currency has no rate that is young enough; `newest` is the last one."""

    currency: str
    day: date
    newest: date | None

    def __str__(self) -> str:
        last = "there was none" if self.newest is None else f"the newest was of {self.newest}"
        return (
            f"the rate of {self.currency} must be known and at most {RATE_AGE_MAX.days} days old "
            f"on {self.day}, {last}"
        )


def currency_rates(
    bars: pl.DataFrame,
    instruments: pl.DataFrame,
    base: str,
    currencies: Sequence[str],
    priority: Sequence[str] = (),
) -> pl.DataFrame:
    """Return every version of the rates of these currencies in `base` (SCHEMA), by knowledge.

    `bars` are BARS rows, `instruments` INSTRUMENTS rows, `priority` prefixes of sources, best
    first. A currency that no pair tells of has no rows.
    """
    legs = _legs(instruments, set(bars["instrument_id"].unique()))
    quoted = bars.filter(
        pl.col("instrument_id").is_in([leg[0] for leg in legs]) & (pl.col("close") > 0)
    )
    longest = (
        quoted.group_by("instrument_id", "interval")
        .len()
        .sort("len", "interval", descending=[True, False])
        .unique("instrument_id", keep="first", maintain_order=True)
    )
    chosen = select_series(
        quoted.join(longest, on=["instrument_id", "interval"], how="semi"), priority
    ).select("instrument_id", "event_time", "knowledge_time", "close")
    found = [
        _told(chosen, legs, currency, base).with_columns(currency=pl.lit(currency))
        for currency in sorted({*currencies} - {base})
    ]
    whole = pl.concat([pl.DataFrame(schema=SCHEMA), *(f.select(*SCHEMA) for f in found)])
    return whole.sort("currency", "event_time", "knowledge_time")


def rates_at(
    rates: pl.DataFrame, currency: str, moments: Sequence[datetime], lag: timedelta
) -> list[Decimal | MissingRate]:
    """Return the newest rate at each moment that was known `lag` after it, or what is missing.

    Base currency units for one unit of the currency, in at most 12 digits.
    """
    own = rates.filter(pl.col("currency") == currency).with_columns(
        # A price counts from its own time on and from when it was known, whichever is later.
        _from=pl.max_horizontal("event_time", pl.col("knowledge_time") - lag)
    )
    # A late revision of an old day does not take the place of the newest day.
    standing = own.sort("_from", "event_time", "knowledge_time").filter(
        pl.col("event_time") >= pl.col("event_time").cum_max()
    )
    at = pl.DataFrame({"moment": list(moments)}, schema={"moment": UTC_TIME}).with_row_index()
    joined = (
        at.sort("moment")
        .join_asof(standing, left_on="moment", right_on="_from", check_sortedness=False)
        .sort("index")
    )
    out: list[Decimal | MissingRate] = []
    for row in joined.iter_rows(named=True):
        moment, told = row["moment"], row["event_time"]
        if told is None or moment - told > RATE_AGE_MAX:
            newest = None if told is None else day_of(told)
            out.append(MissingRate(currency, day_of(moment), newest))
        else:
            out.append(_quotient(row["above"], row["below"]))
    return out


def _quotient(above: float, below: float) -> Decimal:
    ratio = _DIGITS.divide(Decimal(repr(above)), Decimal(repr(below))).normalize(_DIGITS)
    return ratio if ratio.as_tuple().exponent >= -18 else ratio.quantize(_SMALLEST)  # type: ignore[operator]  # finite


def _legs(instruments: pl.DataFrame, traded: set[str]) -> list[_Leg]:
    """Return the pairs among the instruments that have bars."""
    rows = instruments.filter(pl.col("asset_class") == "fx").unique(
        "instrument_id", keep="last", maintain_order=True
    )
    found: list[_Leg] = []
    for name, ticker, currency in rows.select("instrument_id", "ticker", "currency").iter_rows():
        pair = _PAIR.fullmatch(str(ticker).upper())
        if pair is not None and name in traded and pair[2] == currency:
            found.append((name, pair[1], pair[2]))
    return sorted(found)


def _told(chosen: pl.DataFrame, legs: Sequence[_Leg], currency: str, base: str) -> pl.DataFrame:
    """Return the rates of one currency by the first way that has bars."""

    def of(first: str, second: str) -> pl.DataFrame | None:
        name = next((n for n, a, b in legs if (a, b) == (first, second)), None)
        return None if name is None else chosen.filter(pl.col("instrument_id") == name)

    direct = of(currency, base)
    if direct is not None:
        return direct.with_columns(above=pl.col("close"), below=pl.lit(1.0))
    inverse = of(base, currency)
    if inverse is not None:
        return inverse.with_columns(above=pl.lit(1.0), below=pl.col("close"))
    pivots = sorted({a for _, a, _ in legs} | {b for _, _, b in legs})
    for pivot in sorted(pivots, key=lambda name: name != "EUR"):
        out, back = of(pivot, base), of(pivot, currency)
        if out is not None and back is not None:
            return _crossed(out, back)
        out, back = of(currency, pivot), of(base, pivot)
        if out is not None and back is not None:
            return _crossed(out, back)
    return pl.DataFrame(schema=SCHEMA)


def _crossed(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return the quotients of two pairs at the moments that both have, version by version."""
    both = one.join(other, on="event_time", suffix="_other")
    return (
        both.with_columns(
            above=pl.col("close"),
            below=pl.col("close_other"),
            _first=pl.col("knowledge_time"),
            knowledge_time=pl.max_horizontal("knowledge_time", "knowledge_time_other"),
        )
        .sort("event_time", "knowledge_time", "_first", "knowledge_time_other")
        .unique(["event_time", "knowledge_time"], keep="last", maintain_order=True)
    )
