"""Pictures for the UI: PNG bytes as run metadata."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec

import dagster as dg
import polars as pl

from models.drawing import to_markdown

P = ParamSpec("P")


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """Return PNG bytes as metadata that the UI shows as an image."""
    return dg.MetadataValue.md(to_markdown(png, title))


def drawn(
    title: str,
    draw: Callable[Concatenate[pl.DataFrame, P], bytes],
    rows: pl.DataFrame,
    *args: P.args,
    **kwargs: P.kwargs,
) -> dict[str, dg.MarkdownMetadataValue]:
    """Return {title: the picture of the rows}, or nothing where there are no rows to draw."""
    return {} if rows.is_empty() else {title: picture(draw(rows, *args, **kwargs), title)}
