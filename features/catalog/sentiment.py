"""Sentiment: what the headlines known since the last sessions sound like."""

import polars as pl

from features.catalog.feature import Feature

_SCALE = 10_000.0


def _mean(sessions: int) -> Feature:
    count = pl.col(f"news_count_{sessions}")
    return Feature(
        name=f"news_sentiment_{sessions}d",
        family="sentiment",
        formula=(
            f"mean headline score in [-1, 1] over the last {sessions} sessions, by knowledge time;"
            " the instrument's own headlines, else those that name none"
        ),
        lookback_sessions=sessions,
        source_tables=("bars", "news"),
        reference="Tetlock (2007); scores after Hutto and Gilbert (2014)",
        expr=pl.when(count > 0).then(pl.col(f"news_sum_{sessions}") / (count * _SCALE)),
    )


FEATURES = (
    _mean(1),
    _mean(5),
    Feature(
        name="news_volume_5d",
        family="sentiment",
        formula="ln(1 + headlines of the last 5 sessions, own and those that name none)",
        lookback_sessions=5,
        source_tables=("bars", "news"),
        reference="Barber and Odean (2008)",
        expr=pl.col("news_heard_5").cast(pl.Float64).log1p(),
    ),
)
