"""Defects injected into real clean series: what was spoiled, and what it must be called."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from tests.features.validation.make import scale_prices, set_cells


@dataclass(frozen=True)
class Spoiled:
    """Rows with one kind of defect in each series, the spoiled rows, and their kinds."""

    rows: pl.DataFrame
    at: list[list[int]]  # per defect: the rows it spoiled
    kinds: tuple[str, ...]


Injector = Callable[[pl.DataFrame, np.random.Generator], Spoiled]


def _spots(rows: pl.DataFrame, rng: np.random.Generator, margin: int = 60) -> list[int]:
    """Return one row index in each series, away from its ends."""
    spans = rows.with_row_index("i").group_by("instrument_id", maintain_order=True)
    edges = spans.agg(pl.col("i").min().alias("a"), pl.col("i").max().alias("b"))
    return [int(rng.integers(a + margin, b - margin)) for a, b in edges.select("a", "b").rows()]


def _starts(rows: pl.DataFrame) -> dict[str, int]:
    spans = rows.with_row_index("i").group_by("instrument_id").agg(pl.col("i").min())
    return dict(spans.rows())


def bad_print(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    for i in at:
        rows = scale_prices(rows, [i], float(rng.choice([0.35, 0.6, 1.6, 2.7])))
    return Spoiled(rows, [[i] for i in at], ("bad_print",))


def unit_bar(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    for i in at:
        rows = scale_prices(rows, [i], float(rng.choice([0.01, 100.0])))
    return Spoiled(rows, [[i] for i in at], ("unit_error",))


def unit_run(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    runs = [list(range(i, i + int(rng.integers(5, 40)))) for i in _spots(rows, rng)]
    for run in runs:
        rows = scale_prices(rows, run, float(rng.choice([0.01, 100.0])))
    return Spoiled(rows, runs, ("unit_error",))


def _spans(rows: pl.DataFrame) -> list[tuple[int, int]]:
    spans = rows.with_row_index("i").group_by("instrument_id", maintain_order=True)
    return spans.agg(a=pl.col("i").min(), b=pl.col("i").max() + 1).select("a", "b").rows()


def unit_history(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    """The oldest records, a clear minority, are in another unit."""
    old = [list(range(a, a + int((b - a) * rng.uniform(0.03, 0.19)))) for a, b in _spans(rows)]
    rows = scale_prices(rows, [i for run in old for i in run], 100.0)
    return Spoiled(rows, old, ("unit_error",))


def unit_lately(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    """The newest records, a clear minority, are in another unit."""
    new = [list(range(b - int((b - a) * rng.uniform(0.01, 0.19)), b)) for a, b in _spans(rows)]
    for run in new:
        rows = scale_prices(rows, run, float(rng.choice([0.01, 100.0])))
    return Spoiled(rows, new, ("unit_error",))


def split_history(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    starts = _starts(rows)
    old = [list(range(starts[rows["instrument_id"][i]], i)) for i in _spots(rows, rng)]
    for run in old:
        ratio = float(rng.choice([2.0, 3.0, 4.0, 0.1, 0.2]))
        rows = set_cells(scale_prices(rows, run, ratio), run, volume=pl.col("volume") / ratio)
    return Spoiled(rows, old, ("unadjusted_split",))


def ohlc_swap(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    return Spoiled(
        set_cells(rows, at, high=pl.col("low"), low=pl.col("high")),
        [[i] for i in at],
        ("ohlc_order",),
    )


def copied_bars(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    for i in at:
        source = rows.row(i, named=True)
        values = {c: source[c] for c in ("open", "high", "low", "close", "volume")}
        rows = set_cells(rows, list(range(i + 1, i + 6)), **values)
    return Spoiled(rows, [list(range(i + 1, i + 6)) for i in at], ("stale",))


def look_ahead(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    early = pl.col("event_time") - pl.duration(hours=5)
    return Spoiled(set_cells(rows, at, knowledge_time=early), [[i] for i in at], ("look_ahead",))


def null_close(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    return Spoiled(set_cells(rows, at, close=None), [[i] for i in at], ("null",))


def negative_price(rows: pl.DataFrame, rng: np.random.Generator) -> Spoiled:
    at = _spots(rows, rng)
    return Spoiled(scale_prices(rows, at, -1.0), [[i] for i in at], ("impossible_value",))


INJECTORS: dict[str, Injector] = {
    injector.__name__: injector
    for injector in (
        bad_print,
        unit_bar,
        unit_run,
        unit_history,
        unit_lately,
        split_history,
        ohlc_swap,
        copied_bars,
        look_ahead,
        null_close,
        negative_price,
    )
}
