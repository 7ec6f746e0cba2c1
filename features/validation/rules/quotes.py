"""Quotes and option prices: crossed, locked, wide, impossible."""

import polars as pl

from features.text_format import format_text
from features.validation.rule import RowRule
from features.validation.rules.words import number

_BID_ASK = ("quotes", "options")
_MID = 0.5 * (pl.col("bid") + pl.col("ask"))
_SPREAD = (pl.col("ask") - pl.col("bid")) / _MID.abs()


def _sides_reason() -> pl.Expr:
    return format_text("bid must lie below ask, were {} and {}", number("bid"), number("ask"))


QUOTE_RULES = (
    RowRule(
        name="crossed_quote",
        kind="crossed",
        severity="quarantine",
        confidence=0.95,
        tables=_BID_ASK,
        broken=lambda _: (pl.col("bid") > pl.col("ask")) & (pl.col("ask") > 0),
        reason=lambda _: _sides_reason(),
        text="bid must not lie above ask",
    ),
    RowRule(
        name="locked_quote",
        kind="locked",
        severity="warn",
        confidence=0.6,
        tables=("quotes",),
        broken=lambda _: pl.col("bid") == pl.col("ask"),
        reason=lambda _: _sides_reason(),
        text="bid and ask are seldom equal",
    ),
    RowRule(
        name="one_sided_quote",
        kind="impossible_value",
        severity="quarantine",
        confidence=0.8,
        tables=("quotes",),
        broken=lambda _: (pl.col("ask") <= 0) | (pl.col("bid") < 0),
        reason=lambda _: format_text(
            "bid and ask must be positive, were {} and {}", number("bid"), number("ask")
        ),
        text="a side without a price is no quote to trade on",
    ),
    RowRule(
        name="wide_spread",
        kind="wide_spread",
        severity="warn",
        confidence=0.7,
        tables=("quotes",),
        broken=lambda c: (c.settings.spread_fraction_max < _SPREAD) & (_SPREAD < 1.9),
        reason=lambda c: format_text(
            "the spread must be at most {} of the mid, was {} (bid {}, ask {})",
            pl.lit(c.settings.spread_fraction_max),
            _SPREAD.round(4).cast(pl.String),
            number("bid"),
            number("ask"),
        ),
        text="the spread is a small share of the mid",
    ),
    RowRule(
        name="stray_quote",
        kind="bad_print",
        severity="quarantine",
        confidence=0.85,
        tables=("quotes",),
        broken=lambda _: (_SPREAD >= 1.9) & (pl.col("bid") > 0),
        reason=lambda _: _sides_reason(),
        text="two sides of one quote are of one scale",
    ),
    RowRule(
        name="trade_size",
        kind="impossible_value",
        severity="quarantine",
        confidence=0.95,
        tables=("trades",),
        broken=lambda _: pl.col("size") < 0,
        reason=lambda _: format_text("size must not be negative, was {}", number("size")),
        text="a trade has a size",
    ),
    RowRule(
        name="expired_option",
        kind="impossible_value",
        severity="quarantine",
        confidence=0.9,
        tables=("options",),
        broken=lambda _: pl.col("expiry") < pl.col("event_time").dt.date(),
        reason=lambda _: format_text(
            "an option must expire after its price, expired {} before {}",
            pl.col("expiry").cast(pl.String),
            pl.col("event_time").dt.date().cast(pl.String),
        ),
        text="no price after expiry",
    ),
    RowRule(
        name="option_terms",
        kind="impossible_value",
        severity="quarantine",
        confidence=0.95,
        tables=("options",),
        broken=lambda _: (
            (pl.col("strike") <= 0)
            | ~pl.col("right").is_in(["C", "P"])
            | (pl.col("delta").abs() > 1.0 + 1e-6)
            | (pl.min_horizontal("bid", "ask", "close", "volume", "open_interest") < 0)
        ),
        reason=lambda _: format_text(
            "strike must be positive, right C or P, delta in [-1, 1] and prices not negative, "
            "were {}, {}, {}, {}",
            number("strike"),
            pl.col("right").fill_null("null"),
            number("delta"),
            pl.min_horizontal("bid", "ask", "close").cast(pl.String).fill_null("null"),
        ),
        text="strike > 0, right C or P, delta in [-1, 1], nothing negative",
    ),
    RowRule(
        name="implied_volatility",
        kind="unit_error",
        severity="warn",
        confidence=0.7,
        tables=("options",),
        broken=lambda _: (pl.col("implied_volatility") > 8) | (pl.col("implied_volatility") < 0),
        reason=lambda _: format_text(
            "implied volatility must be a fraction a year, was {}", number("implied_volatility")
        ),
        text="a volatility of 20 % is 0.2; above 8 it is a percentage",
    ),
)
