"""What prices say of their adjustment, where splits are listed beside them."""

from typing import Literal

import polars as pl

from adapters.sources.mapping import MappingError

_TURNED = 0.3  # how far, in parts of a split's move, its inverse may be from the price's
Adjustment = Literal["raw", "split", "total_return"]


def adjustment_of(bars: pl.DataFrame, actions: pl.DataFrame) -> Adjustment | None:
    """Return how closes are adjusted, as their steps at the recorded splits say.

    `bars` has instrument_id, event_time and close, `actions` instrument_id, event_time (the open of
    the ex-date), kind and ratio. A raw price falls by the ratio at a split, and who leaves splits
    in leaves payments in as well. Prices that take no step are adjusted at least for splits
    ("split"); None where no split lies between two bars. Raises MappingError where some splits show
    and others do not.
    """
    splits = actions.filter(pl.col("kind") == "split", pl.col("ratio") > 0, pl.col("ratio") != 1)
    if splits.is_empty():
        return None
    dated = bars.drop_nulls("close").filter(pl.col("close") > 0).sort("event_time")
    stepped = dated.with_columns(before=pl.col("close").shift(1).over("instrument_id"))
    steps = (
        splits.sort("event_time")
        .join_asof(
            stepped.select("instrument_id", "event_time", "close", "before"),
            on="event_time", by="instrument_id", strategy="forward", check_sortedness=False,
        )
        .drop_nulls(["close", "before"])
        .with_columns(step=(pl.col("before") / pl.col("close")).log(), whole=pl.col("ratio").log())
        .with_columns(is_raw=(pl.col("step") - pl.col("whole")).abs() < pl.col("step").abs())
    )  # fmt: skip
    if steps.is_empty():
        return None
    turned = steps.filter(
        (pl.col("step") + pl.col("whole")).abs() < _TURNED * pl.col("whole").abs()
    )
    if 2 * turned.height > steps.height:
        odd = turned.row(0, named=True)
        raise MappingError(
            "are its splits new shares for one old? its prices step the other way: "
            f"{odd['instrument_id']} by {odd['close'] / odd['before']:.3g} on "
            f"{odd['event_time']:%Y-%m-%d}, where {odd['ratio']:g} is recorded; write the ratio as "
            "4:1 or 4 where four shares replace one"
        )
    shown = steps["is_raw"].sum()
    if 0 < shown < steps.height:
        odd = steps.filter(pl.col("is_raw") == (shown * 2 < steps.height)).row(0, named=True)
        raise MappingError(
            f"are its prices adjusted for splits? {shown} of {steps.height} show in them "
            f"(unlike the others: {odd['instrument_id']} on {odd['event_time']:%Y-%m-%d}); write "
            "--adjustment raw or split"
        )
    return "raw" if shown else "split"
