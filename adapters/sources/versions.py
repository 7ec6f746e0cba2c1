"""Versions of a record: only what changed is a new one."""

import polars as pl


def changes_only(versions: pl.DataFrame, key: list[str], values: list[str]) -> pl.DataFrame:
    """Return the versions that differ from the one known before under the same key."""
    same = pl.all_horizontal(
        pl.col(c).eq_missing(pl.col(c).shift(1).over(key, order_by="knowledge_time"))
        for c in values
    )
    is_first = pl.col("knowledge_time") == pl.col("knowledge_time").min().over(key)
    return versions.filter(is_first | ~same)
