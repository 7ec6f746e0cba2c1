"""Which instruments may truly trade below zero, after their class or their name."""

import polars as pl

# Oil settled at -37.63 in April 2020; spreads and rates cross zero for years.
_MAY_BE_NEGATIVE = (
    r"(?i)future|commodit|energy|oil|gas|power|rate|yield|spread|bond|macro|option|swap"
)
_NAMED_FOR_IT = r"^(FUT|COM|RATE|RATES|SPREAD|MACRO|OIL|CMD)\."

_WITHOUT_SHARES = ("future", "fx", "crypto", "index", "rate", "commodity", "spread")


def may_be_negative(instrument_ids: pl.Series, instruments: pl.DataFrame | None) -> pl.Series:
    """Return, for each id, whether a price of zero or less can be true."""
    ids = pl.DataFrame({"instrument_id": instrument_ids})
    if instruments is None or instruments.is_empty():
        classes = ids.with_columns(asset_class=pl.lit(None, dtype=pl.String))
    else:
        known = instruments.select("instrument_id", "asset_class").unique("instrument_id")
        classes = ids.join(known, on="instrument_id", how="left", maintain_order="left")
    named = pl.col("instrument_id").str.contains(_NAMED_FOR_IT)
    return classes.select(
        pl.coalesce(pl.col("asset_class").str.contains(_MAY_BE_NEGATIVE), named).fill_null(False)
        | named
    ).to_series()


def without_splits(instruments: pl.DataFrame | None) -> frozenset[str]:
    """Return the ids of instruments that have no shares: futures, pairs, coins, indices."""
    if instruments is None or "asset_class" not in instruments.columns:
        return frozenset()
    known = instruments.filter(pl.col("asset_class").is_in(_WITHOUT_SHARES))
    return frozenset(known.get_column("instrument_id").drop_nulls())
