"""What a feature table looks like at a glance: coverage, correlation, and their family's name."""

import polars as pl

from features.catalog.registry import CATALOG


def coverage(features: pl.DataFrame) -> pl.DataFrame:
    """Return one row per feature of the table, in catalogue order.

    Columns: feature, family, known_share (fraction of rows not null), mean, std, lowest, highest;
    the last four are null where nothing is known.
    """
    present = [f for f in CATALOG if f.name in features.columns]
    rows = [
        features.select(
            pl.lit(f.name).alias("feature"),
            pl.lit(f.family).alias("family"),
            (pl.col(f.name).count() / pl.len()).alias("known_share"),
            pl.col(f.name).mean().alias("mean"),
            pl.col(f.name).std().alias("std"),
            pl.col(f.name).min().alias("lowest"),
            pl.col(f.name).max().alias("highest"),
        )
        for f in present
    ]
    return pl.concat(rows) if rows else pl.DataFrame(schema={"feature": pl.String()})


def coverage_by_month(features: pl.DataFrame) -> pl.DataFrame:
    """Return month, family, known_share: how much of each family was known, month by month."""
    families = {f.name: f.family for f in CATALOG if f.name in features.columns}
    long = features.group_by(pl.col("event_time").dt.truncate("1mo").alias("month")).agg(
        *(pl.col(n).count().cast(pl.Float64).truediv(pl.len()).alias(n) for n in families)
    )
    shares = long.unpivot(index="month", variable_name="feature", value_name="known_share")
    family = pl.col("feature").replace_strict(families, return_dtype=pl.String)
    return (
        shares.with_columns(family.alias("family"))
        .group_by("month", "family")
        .agg(pl.col("known_share").mean())
        .sort("month", "family")
    )


def correlation(features: pl.DataFrame, family: str | None = None) -> pl.DataFrame:
    """Return left, right, correlation (Spearman 1904, over rows where both are known), long form.

    All ordered pairs of the features of one family, or of the whole table; null where fewer than
    three rows hold both or one does not vary.
    """
    names = [
        f.name
        for f in CATALOG
        if f.name in features.columns and (family is None or f.family == family)
    ]
    if family is not None and not any(f.family == family for f in CATALOG):
        raise ValueError(f"family must be of the catalogue, was {family!r}")
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i:]]
    if not pairs:
        return pl.DataFrame(
            schema={"left": pl.String(), "right": pl.String(), "correlation": pl.Float64()}
        )
    values = features.select(_spearman(a, b).alias(f"{a}|{b}") for a, b in pairs).row(0)
    half = pl.DataFrame(
        {"left": [a for a, _ in pairs], "right": [b for _, b in pairs], "correlation": values},
        schema_overrides={"correlation": pl.Float64()},
    )
    other = half.filter(pl.col("left") != pl.col("right")).select(
        pl.col("right").alias("left"), pl.col("left").alias("right"), "correlation"
    )
    return pl.concat([half, other]).sort("left", "right")


def _spearman(a: str, b: str) -> pl.Expr:
    both = pl.col(a).is_not_null() & pl.col(b).is_not_null()
    value = pl.corr(pl.col(a).filter(both).rank(), pl.col(b).filter(both).rank())
    return pl.when((both.sum() >= 3) & value.is_finite()).then(value)
