"""News, actions, membership, instruments and computed rows: what one row must hold."""

from datetime import timedelta

import polars as pl

from features.schemas import ACTION_KINDS
from features.text_format import format_text
from features.validation.rule import RowRule
from features.validation.rules.words import moment, number

# A large dividend goes ex after it was paid (NYSE rule 235); few are paid half a year later.
_PAID_EARLY_MAX, _PAID_LATE_MAX = timedelta(days=-10), timedelta(days=366)

RECORD_RULES = (
    RowRule(
        name="headline_text",
        kind="empty",
        severity="quarantine",
        confidence=1.0,
        tables=("news",),
        broken=lambda _: pl.col("headline").str.strip_chars().str.len_chars() == 0,
        reason=lambda _: pl.lit("a headline must have text, was empty"),
        text="a headline has text",
    ),
    RowRule(
        name="action_kind",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("corporate_actions",),
        broken=lambda _: ~pl.col("kind").is_in(ACTION_KINDS),
        reason=lambda _: format_text(
            "kind must be one of {}, was {}", pl.lit(", ".join(ACTION_KINDS)), "kind"
        ),
        text=f"kinds are {', '.join(ACTION_KINDS)}",
    ),
    RowRule(
        name="action_amount",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("corporate_actions",),
        broken=lambda _: (
            ((pl.col("kind") == "split") & ~(pl.col("ratio") > 0))
            | ((pl.col("kind") == "split") & pl.col("ratio").is_null())
            | (pl.col("kind").is_in(["dividend", "merger", "delisting"]) & (pl.col("amount") < 0))
            | ((pl.col("kind") == "merger") & (pl.col("ratio") < 0))
        ),
        reason=lambda _: format_text(
            "a split must have a positive ratio, a merger no negative one, and no amount may be "
            "negative, were {} and {}",
            number("ratio"),
            number("amount"),
        ),
        text="a split has a ratio above 0, a payment an amount of at least 0",
    ),
    RowRule(
        name="merger_terms",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("corporate_actions",),
        broken=lambda _: (
            (pl.col("kind") == "merger")
            & (
                ((pl.col("ratio") > 0) & pl.col("detail").is_null())
                | ~((pl.col("ratio").fill_null(0) > 0) | (pl.col("amount").fill_null(0) > 0))
            )
        ),
        reason=lambda _: format_text(
            "a merger must pay an amount, or give a ratio of the instrument that detail names, "
            "were {}, {} and {}",
            number("amount"),
            number("ratio"),
            pl.col("detail").fill_null("null"),
        ),
        text="a merger pays cash, or shares of the instrument that its detail names",
    ),
    RowRule(
        name="halt_end",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("corporate_actions",),
        broken=lambda _: (pl.col("kind") == "halt") & (pl.col("end_time") <= pl.col("event_time")),
        reason=lambda _: format_text(
            "a halt must end after it began, ended {} and began {}",
            moment("end_time"),
            moment("event_time"),
        ),
        text="a halt ends after it begins",
    ),
    RowRule(
        name="pay_date",
        kind="out_of_range",
        severity="warn",
        confidence=0.9,
        tables=("corporate_actions",),
        broken=lambda _: (
            (pl.col("kind") == "dividend")
            & ~(pl.col("end_time") - pl.col("event_time")).is_between(
                _PAID_EARLY_MAX, _PAID_LATE_MAX
            )
        ),
        reason=lambda _: format_text(
            "a dividend must be paid from 10 days before its ex-date to a year after it, "
            "was at {} with the ex-date {}",
            moment("end_time"),
            moment("event_time"),
        ),
        text="a dividend is paid near its ex-date",
    ),
    RowRule(
        name="spell_order",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("membership",),
        broken=lambda _: pl.col("end_time") < pl.col("event_time"),
        reason=lambda _: format_text(
            "a spell must end after it began, ended {} and began {}",
            moment("end_time"),
            moment("event_time"),
        ),
        text="a spell ends after it begins",
    ),
    RowRule(
        name="ticker_spell",
        kind="impossible_value",
        severity="quarantine",
        confidence=1.0,
        tables=("instruments",),
        broken=lambda _: pl.col("valid_to") <= pl.col("valid_from"),
        reason=lambda _: format_text(
            "a ticker must be valid for at least a day, was from {} to {}",
            pl.col("valid_from").cast(pl.String),
            pl.col("valid_to").cast(pl.String),
        ),
        text="a ticker's first day lies before its last",
    ),
    RowRule(
        name="forecast_size",
        kind="out_of_range",
        severity="quarantine",
        confidence=0.9,
        tables=("forecasts",),
        broken=lambda c: pl.col("forecast").abs() > c.settings.forecast_abs_max,
        reason=lambda c: format_text(
            "a cross-sectional score must lie within {}, was {}",
            pl.lit(c.settings.forecast_abs_max),
            number("forecast"),
        ),
        text="a forecast is a z-score: within the limit",
    ),
)
