"""Bars drawn from single trades, or from the middle of bid and ask."""

import polars as pl

from adapters.sources.batches import ROW_BITS
from adapters.sources.mapping_series import DRAWN_TABLES, Drawn
from features.schemas import BARS

_END = "__end"


def drawn_bars(ticks: pl.DataFrame, drawn: Drawn, *, within_files: bool = False) -> pl.DataFrame:
    """Return the BARS rows of ticks, that are rows of TRADES or QUOTES, one source a series.

    A trade belongs to the span of the clock that it begins or lies in; a quote to the one that it
    ends or lies in, since it is what stands at its moment. Bars are known when they are over, or
    when the last of their ticks is. A quote without a side, of nothing, or with its bid above its
    ask has no middle. Spans without ticks have no bar. `source_row` is that of the last tick.
    With `within_files` no bar is drawn over two files.
    """
    of_trades = DRAWN_TABLES[drawn.of] == "trades"
    price = pl.col("price") if of_trades else (pl.col("bid") + pl.col("ask")) / 2
    if not of_trades:
        has_middle = (pl.col("bid") != 0) & (pl.col("ask") != 0) & (pl.col("bid") <= pl.col("ask"))
        ticks = ticks.filter(has_middle)
    begins = pl.col("event_time").dt.truncate(drawn.interval)
    is_at_edge = (begins == pl.col("event_time")) & (not of_trades)
    ends = pl.when(is_at_edge).then("event_time").otherwise(begins.dt.offset_by(drawn.interval))
    if drawn.interval == "1d":  # the closes of sessions, which end no day of the clock
        ends = pl.col("event_time")
    order = ["sequence"] if of_trades else ["source_row"]
    tag = pl.col("source_row") // (1 << ROW_BITS) if within_files else pl.lit(0)
    series = ["instrument_id", "source", "__tag", _END]
    size = pl.col("size") if of_trades else pl.lit(None, pl.Float64)
    bars = (
        ticks.with_columns(ends.alias(_END), __tag=tag, __price=price, __size=size)
        .filter(pl.col("__price").is_finite())
        .sort("event_time", *order, maintain_order=True)
        .group_by(series, maintain_order=True)
        .agg(
            open=pl.col("__price").first(),
            high=pl.col("__price").max(),
            low=pl.col("__price").min(),
            close=pl.col("__price").last(),
            volume=pl.when(pl.col("__size").count() > 0).then(pl.col("__size").sum()),
            known=pl.col("knowledge_time").max(),
            currency=pl.col("currency").last(),
            source_row=pl.col("source_row").last(),
        )
        .with_columns(
            event_time=pl.col(_END),
            knowledge_time=pl.max_horizontal(_END, "known"),
            interval=pl.lit(drawn.interval),
            adjustment=pl.lit("raw"),
        )
    )
    if drawn.interval == "1d":  # one quote a session: a close, and no range of it
        bars = bars.with_columns(pl.lit(None).alias(c) for c in ("open", "high", "low"))
    return BARS.conform(bars)
