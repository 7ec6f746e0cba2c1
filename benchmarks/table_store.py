"""Delta tables of the house: what append, replace, read and the content hash cost.

Everything is set in relation to polars writing and reading the same rows as one Parquet file.
"""

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.tables_delta import DeltaTableStore

RESULTS = Path(__file__).parent / "results" / "table_store.json"
FIRST = datetime(2016, 1, 4, 21, tzinfo=UTC)
KEY = ("instrument_id", "event_time")
MONTHS, INSTRUMENTS = 100, 400


def make_bars() -> pl.DataFrame:
    """Return about a million bars over a hundred months."""
    rng = np.random.default_rng(0)
    days = [FIRST + timedelta(days=i) for i in range(30 * MONTHS)]
    frame = pl.DataFrame({"event_time": [d for d in days if d.weekday() < 5]}).join(
        pl.DataFrame({"instrument_id": [f"US.T{i:03d}" for i in range(INSTRUMENTS)]}), how="cross"
    )
    prices = {c: pl.lit(pl.Series(rng.normal(100, 5, frame.height))) for c in ("open", "close")}
    return frame.with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        knowledge_time=pl.col("event_time") + pl.duration(minutes=15),
        source=pl.lit("default/us_equities@ee21cac28bef"),
        source_row=pl.int_range(pl.len()),
        **prices,
    )


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Return the best time of the work over its repeats."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def main() -> None:
    """Print and write the table."""
    bars = make_bars()
    start, end = FIRST, FIRST + timedelta(days=30 * MONTHS)
    session = bars["event_time"].max()
    newest = bars.filter(pl.col("event_time") == session)
    assert isinstance(session, datetime)
    day = {"start": session, "end": session + timedelta(days=1)}
    recent = session - timedelta(days=30)
    with tempfile.TemporaryDirectory() as folder:
        store, plain = DeltaTableStore(Path(folder)), Path(folder) / "plain.parquet"
        taken = {
            "parquet_write": seconds(lambda: bars.write_parquet(plain)),
            "parquet_read": seconds(lambda: pl.read_parquet(plain), 3),
            "first_append": seconds(lambda: store.append("bars", bars, key=KEY)),
            "same_append_again": seconds(lambda: store.append("bars", bars, key=KEY)),
            "first_replace": seconds(lambda: store.replace("copy", bars, start=start, end=end)),
            "same_replace_again": seconds(
                lambda: store.replace("copy", bars, start=start, end=end)
            ),
            "replace_one_session": seconds(
                lambda: store.replace("copy", newest.with_columns(close=pl.lit(1.0)), **day)
            ),
            "read_all": seconds(lambda: store.read("bars"), 3),
            "read_one_month": seconds(lambda: store.read("bars", start=recent), 3),
            "content_hash": seconds(lambda: content_hash(bars), 3),
            "canonical_order_shuffled": seconds(
                lambda: canonical_order(bars.sample(fraction=1.0, shuffle=True, seed=1))
            ),
        }
    result = {
        "rows": bars.height,
        "columns": bars.width,
        "months": bars["event_time"].dt.strftime("%Y-%m").n_unique(),
        "seconds": {k: round(v, 4) for k, v in taken.items()},
        "times_parquet_write": {k: round(v / taken["parquet_write"], 2) for k, v in taken.items()},
    }
    for name, value in taken.items():
        print(f"{name:28s} {value:8.3f} s  {value / taken['parquet_write']:7.2f} x parquet write")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
