"""One million bars through the default rules, against one bare polars pass of the simplest six."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from features.calendars import sessions
from features.schemas import BARS, INSTRUMENTS
from features.validation import CheckContext, ValidationSettings, check, split

SERIES, DAYS = 500, 2_000
RESULT = Path(__file__).parent / "results" / "validation.json"


def make_bars(seed: int = 7) -> tuple[pl.DataFrame, datetime]:
    """Return 1,000,000 daily bars of 500 instruments with some hundred faults among them."""
    rng = np.random.default_rng(seed)
    calendar = sessions("XNYS", datetime(2016, 1, 1), datetime(2024, 1, 1)).head(DAYS)  # noqa: DTZ001  # days
    closes = calendar.get_column("close").to_numpy()
    sigma = rng.uniform(0.008, 0.03, SERIES)
    moves = rng.standard_t(4, (SERIES, DAYS)) * sigma[:, None] * 0.7
    close = 50 * np.exp(np.cumsum(moves, axis=1))
    close[rng.integers(0, SERIES, 200), rng.integers(5, DAYS - 5, 200)] *= 3.0
    opened = close * np.exp(rng.normal(0, 0.3, close.shape) * sigma[:, None])
    wick = np.abs(rng.normal(0, 0.5, close.shape)) * sigma[:, None]
    frame = pl.DataFrame(
        {
            "instrument_id": np.repeat([f"US.S{i:03d}" for i in range(SERIES)], DAYS),
            "event_time": np.tile(closes, SERIES),
            "open": opened.ravel(),
            "high": (np.maximum(opened, close) * (1 + wick)).ravel(),
            "low": (np.minimum(opened, close) * (1 - wick)).ravel(),
            "close": close.ravel(),
            "volume": rng.lognormal(13, 0.5, close.size).round(),
        }
    ).with_columns(
        pl.col("event_time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        interval=pl.lit("1d"),
        adjustment=pl.lit("split"),
        currency=pl.lit("USD"),
        source=pl.lit("made@1"),
        source_row=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    frame = frame.with_columns(knowledge_time=pl.col("event_time") + pl.duration(hours=2))
    last = frame["event_time"].max()
    if not isinstance(last, datetime):
        raise TypeError(f"event_time must be a time, was {last!r}")
    return BARS.conform(frame), last.astimezone(UTC) + timedelta(hours=3)


def bare_pass(rows: pl.DataFrame) -> pl.DataFrame:
    """Count six simple faults in one polars pass: the limit that any rule set stands on."""
    previous = pl.col("close").shift(1).over("instrument_id")
    return (
        rows.lazy()
        .select(
            pl.col("close").is_null().sum().alias("nulls"),
            (pl.col("high") < pl.max_horizontal("open", "low", "close")).sum().alias("high"),
            (pl.col("low") > pl.min_horizontal("open", "high", "close")).sum().alias("low"),
            (pl.col("volume") <= 0).sum().alias("volume"),
            ((pl.col("close") / previous - 1).abs() > 0.4).sum().alias("jumps"),
            (pl.col("knowledge_time") < pl.col("event_time")).sum().alias("look_ahead"),
        )
        .collect()
    )


def best_of(run: Callable[[], object], count: int = 5) -> tuple[float, float]:
    """Return the best wall and processor seconds of several runs."""
    times: list[tuple[float, float]] = []
    for _ in range(count):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(t[0] for t in times), min(t[1] for t in times)


def main() -> None:
    rows, as_of = make_bars()
    instruments = INSTRUMENTS.conform(
        rows.select("instrument_id")
        .unique()
        .with_columns(
            ticker=pl.col("instrument_id"),
            asset_class=pl.lit("equity"),
            currency=pl.lit("USD"),
            calendar=pl.lit("XNYS"),
        )
    )
    context = CheckContext(
        as_of=as_of, instruments=instruments, settings=ValidationSettings(require_fresh=True)
    )
    report = check("bars", rows, context=context)
    bare_wall, bare_cpu = best_of(lambda: bare_pass(rows))
    wall, cpu = best_of(lambda: check("bars", rows, context=context))
    split_wall, _ = best_of(lambda: split(rows, report))
    result = {
        "rows": rows.height,
        "findings": report.findings.height,
        "rules_wall_s": round(wall, 3),
        "rules_cpu_s": round(cpu, 3),
        "split_wall_s": round(split_wall, 3),
        "bare_wall_s": round(bare_wall, 3),
        "bare_cpu_s": round(bare_cpu, 3),
        "cpu_ratio_to_bare_pass": round(cpu / bare_cpu, 1),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:24} {value:>12,}")


if __name__ == "__main__":
    main()
