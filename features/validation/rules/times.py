"""Times: nothing from the future, nothing known before it was true or after it was used."""

import polars as pl

from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.rule import RowRule
from features.validation.rules.words import moment

# Where an event may be announced before it takes effect, knowing early is no leak.
_KNOWN_AFTER = ("bars", "quotes", "trades", "news", "options", "fundamentals")
_DERIVED = ("features", "forecasts")
_HAPPENED = (*_KNOWN_AFTER, *_DERIVED)


def _tolerance(context: CheckContext) -> pl.Expr:
    return pl.duration(seconds=context.settings.future_tolerance_s)


def _as_of(context: CheckContext) -> pl.Expr:
    return pl.lit(context.as_of).dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))


def _future(context: CheckContext) -> pl.Expr:
    return pl.col("event_time") > _as_of(context) + _tolerance(context)


def _late(context: CheckContext) -> pl.Expr:
    return pl.col("knowledge_time") > _as_of(context) + _tolerance(context)


def _not_yet_known(context: CheckContext) -> pl.Expr:
    return _late(context) & ~_future(context)


def _known_before(context: CheckContext) -> pl.Expr:
    return pl.col("knowledge_time") < pl.col("event_time") - _tolerance(context)


def _future_reason(context: CheckContext) -> pl.Expr:
    return format_text(
        "event_time must not lie after as_of {}, was {}",
        pl.lit(f"{context.as_of:%Y-%m-%d %H:%M:%SZ}"),
        moment("event_time"),
    )


def _knowledge_reason(context: CheckContext) -> pl.Expr:
    return format_text(
        "knowledge_time must not lie after as_of {}, was {}",
        pl.lit(f"{context.as_of:%Y-%m-%d %H:%M:%SZ}"),
        moment("knowledge_time"),
    )


def _look_ahead_reason(_: CheckContext) -> pl.Expr:
    return format_text(
        "knowledge_time must not lie before event_time {}, was {}",
        moment("event_time"),
        moment("knowledge_time"),
    )


def _serves_reason(_: CheckContext) -> pl.Expr:
    return format_text(
        "knowledge_time must not lie after the row's as_of {}, was {}",
        moment("as_of"),
        moment("knowledge_time"),
    )


TIME_RULES = (
    RowRule(
        name="future_event",
        kind="future",
        severity="quarantine",
        confidence=1.0,
        tables=_HAPPENED,
        broken=_future,
        reason=_future_reason,
        text="event_time must not lie after as_of",
    ),
    RowRule(
        name="future_knowledge",
        kind="not_yet_known",
        severity="quarantine",
        confidence=1.0,
        tables=_KNOWN_AFTER,
        broken=_not_yet_known,
        reason=_knowledge_reason,
        text="knowledge_time must not lie after as_of",
    ),
    RowRule(
        name="announced_later",
        kind="not_yet_known",
        severity="quarantine",
        confidence=1.0,
        tables=("macro", "corporate_actions", "membership"),
        broken=_late,
        reason=_knowledge_reason,
        text="what may be announced before it is true must not be known after as_of",
    ),
    RowRule(
        name="known_before_event",
        kind="look_ahead",
        severity="block",
        confidence=1.0,
        tables=_HAPPENED,
        broken=_known_before,
        reason=_look_ahead_reason,
        text="knowledge_time must not lie before event_time where nothing is announced ahead",
    ),
    RowRule(
        name="known_before_period",
        kind="look_ahead",
        severity="warn",
        confidence=0.5,
        tables=("macro",),
        broken=_known_before,
        reason=_look_ahead_reason,
        text="a figure is rarely published before its reference period; flash figures are",
    ),
    RowRule(
        name="known_after_as_of",
        kind="look_ahead",
        severity="block",
        confidence=1.0,
        tables=_DERIVED,
        broken=lambda _: pl.col("knowledge_time") > pl.col("as_of"),
        reason=_serves_reason,
        text="a computed row must not rest on knowledge from after the decision it serves",
    ),
)
