"""Pictures for the UI: PNG bytes as metadata, and the few plots of tables themselves."""

import base64
import io
from collections.abc import Sequence

import dagster as dg
import polars as pl


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return PNG bytes as metadata that the UI shows as an image."""
    return dg.MetadataValue.md(
        f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
    )


def coverage_picture(rows: pl.DataFrame, features: Sequence[str]) -> dg.MarkdownMetadataValue:
    """Return a heat map of how much of each feature is known, by month: dark is complete."""
    from matplotlib.figure import Figure

    monthly = (
        rows.group_by(pl.col("event_time").dt.truncate("1mo").alias("month"))
        .agg(pl.col(name).is_not_null().mean() for name in features)
        .sort("month")
    )
    figure = Figure(figsize=(9, 0.17 * len(features) + 1.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(
        monthly.select(features).transpose().to_numpy(),
        aspect="auto",
        vmin=0,
        vmax=1,
        cmap="Blues",
        interpolation="nearest",
    )
    months = monthly["month"].dt.strftime("%Y-%m").to_list()
    step = max(1, len(months) // 10)
    axes.set_xticks(range(0, len(months), step), months[::step], rotation=45, fontsize=7)
    axes.set_yticks(range(len(features)), features, fontsize=6)
    axes.set_title("Share of instruments with a value, by month", fontsize=9)
    figure.colorbar(image, ax=axes, fraction=0.03)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return picture(buffer.getvalue(), "coverage")
