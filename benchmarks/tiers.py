"""Tiers: a hot read, warm appends against bare COPY, a cold scan, one question over all tiers.

`python -m benchmarks.tiers [--rows 100000000]`; servers are started on loopback. Every ratio is of
two things measured in turns in one run.
"""

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psycopg

from adapters.stores.hot import EmbeddedHotStore, HotStore, RedisHotStore
from adapters.stores.hot_state import HotState, PheromoneField
from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.segments import SegmentTier
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import Catalogue, Tiers
from adapters.stores.warm import WarmStore
from adapters.stores.warm_postgres import PostgresWarmStore
from tests.services import postgres_server, redis_server

RESULTS = Path(__file__).parent / "results" / "tiers.json"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
INSTRUMENTS, MONTHS, TURNS = 500, 12, 7
Figures = dict[str, float | int | str]


def in_turns(*works: Callable[[], object], turns: int = TURNS) -> list[float]:
    """Return the median seconds of each work, measured one after the other, again and again."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(turns):
        for times, work in zip(taken, works, strict=True):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
    return [statistics.median(t) for t in taken]


def hot_reads(folder: Path, url: str) -> Figures:
    """Return the median microseconds of one read of a field of 500 instruments by 5 channels."""
    ids = tuple(f"US.T{i:03d}" for i in range(INSTRUMENTS))
    values = np.random.default_rng(0).standard_normal((INSTRUMENTS, 5))
    field = PheromoneField(1, ids, ("long", "short", "danger", "success", "rejection"), values)

    def microseconds(store: HotStore) -> float:
        state = HotState(store)
        state.write_field("main", field)
        (median,) = in_turns(lambda: state.find_field("main"), turns=3_000)
        return round(median * 1e6, 1)

    return {
        "hot_read_redis_us": microseconds(RedisHotStore(url)),
        "hot_read_embedded_us": microseconds(EmbeddedHotStore(folder / "hot.db")),
    }


def make_fills(count: int, *, first: int = 0, days: int = 28) -> pl.DataFrame:
    """Return fills of one month, evenly over its days and the instruments."""
    rng = np.random.default_rng(first)
    times = FIRST.timestamp() * 1e6 + np.arange(count) * (days * 86_400e6 / count)
    moment = pl.Series(times.astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {
            "fill_id": pl.Series(np.arange(first, first + count)).cast(pl.String),
            "event_time": moment,
            "knowledge_time": moment,
            "instrument_id": [f"US.T{i:03d}" for i in rng.integers(0, INSTRUMENTS, count)],
            "quantity": rng.integers(1, 1_000, count).astype(float),
            "price": rng.normal(100, 5, count),
            "cost": rng.random(count),
        }
    )


def warm_appends(address: PostgresAddress, *, batch: int = 50_000) -> Figures:
    """Return fills a second in batches: ours, and COPY of ready-made text into a plain table."""
    warm = PostgresWarmStore(address, schema="bench_append")
    batches = iter([make_fills(batch, first=i * batch) for i in range(TURNS)])
    texts = iter([_as_text(make_fills(batch, first=i * batch)) for i in range(TURNS)])
    with psycopg.connect(address.conninfo(), autocommit=True) as plain:
        plain.execute(
            "CREATE TABLE bare (fill_id text, event_time timestamptz, knowledge_time timestamptz,"
            " instrument_id text, quantity float8, price float8, cost float8)"
        )

        def bare() -> None:
            with plain.cursor() as cursor, cursor.copy("COPY bare FROM STDIN (FORMAT csv)") as copy:
                copy.write(next(texts))

        ours, copied = in_turns(lambda: warm.write("fills", next(batches)), bare)
    return {
        "warm_append_fills_s": round(batch / ours),
        "bare_copy_fills_s": round(batch / copied),
        "warm_append_times_bare_copy": round(ours / copied, 2),
    }


def _as_text(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.with_columns(pl.col("event_time", "knowledge_time").dt.replace_time_zone(None)).write_csv(
        buffer, include_header=False, datetime_format="%Y-%m-%d %H:%M:%S%.6f+00"
    )
    return buffer.getvalue()


def cold_scan(folder: Path, rows: int) -> Figures:
    """Return time and bytes of reading one instrument of `rows` rows, against bare polars."""
    store = DeltaTableStore(folder / "cold")
    if not store.exists("ticks"):
        for month in range(MONTHS):
            start = FIRST + timedelta(days=31 * month)
            start = start.replace(day=1)
            end = (start + timedelta(days=32)).replace(day=1)
            store.replace("ticks", _make_ticks(start, rows // MONTHS), start=start, end=end)
    tiers = Tiers(EmbeddedHotStore(folder / "none.db"), WarmStore(folder / "none"), store)
    keys = {"ticks": ["instrument_id", "event_time"]}
    catalogue = Catalogue(tiers.hot, tiers.warm, store, keys=keys)
    files = store.open("ticks").file_uris()
    one = "US.T123"
    bare = pl.scan_parquet(files).filter(pl.col("instrument_id") == one)
    expected = bare.select(pl.len()).collect().item()
    assert catalogue.scan("ticks", instrument=one).collect().height == expected
    read = _bytes_read(files, lambda: catalogue.scan("ticks", instrument=one).collect())
    ours, polars = in_turns(
        lambda: catalogue.scan("ticks", instrument=one).collect(), lambda: bare.collect()
    )
    size = sum(Path(f).stat().st_size for f in files)
    return {
        "cold_rows": store.size("ticks")[0],
        "cold_bytes": size,
        "cold_scan_rows": expected,
        "cold_scan_bytes_read": read,
        "cold_scan_bytes_percent": round(100 * read / size, 3),
        "cold_scan_ms": round(ours * 1e3, 1),
        "bare_polars_ms": round(polars * 1e3, 1),
        "cold_scan_times_bare_polars": round(ours / polars, 2),
    }


def _make_ticks(start: datetime, count: int) -> pl.DataFrame:
    rng = np.random.default_rng(start.month)
    each = count // INSTRUMENTS
    times = start.timestamp() * 1e6 + np.arange(each) * (28 * 86_400e6 / each)
    moment = pl.Series(np.tile(times, INSTRUMENTS).astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    names = pl.Series([f"US.T{i:03d}" for i in range(INSTRUMENTS)])
    return pl.DataFrame(
        {
            "instrument_id": names.gather(np.repeat(np.arange(INSTRUMENTS), each)),
            "event_time": moment,
            "knowledge_time": moment,
            "price": np.round(rng.normal(100, 5, each * INSTRUMENTS), 2),
            "size": rng.integers(1, 1_000, each * INSTRUMENTS),
        }
    )


def _bytes_read(files: list[str], work: Callable[[], object]) -> int:
    """Return what the work read from the disk, with none of the files in memory before."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    before = _disk_bytes()
    work()
    return _disk_bytes() - before


def _disk_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


def across_tiers(folder: Path, address: PostgresAddress, *, rows: int = 600_000) -> Figures:
    """Return how much longer a question takes over three tiers than over the same rows in one."""
    parts = [
        make_fills(rows // 3, first=i * rows // 3).with_columns(
            pl.col("event_time", "knowledge_time") + timedelta(days=31 * i)
        )
        for i in range(3)
    ]
    figures: Figures = {"across_rows": rows}
    for name in ("embedded", "postgres"):
        warm: SegmentTier = (
            WarmStore(folder / "warm")
            if name == "embedded"
            else PostgresWarmStore(address, schema="bench_across")
        )
        hot, cold = EmbeddedHotStore(folder / f"{name}.db"), DeltaTableStore(folder / name)
        tiers = Tiers(hot, warm, cold)
        cold.add("fills", parts[0])
        warm.write("fills", parts[1])
        tiers.hot.write("fills", parts[2])
        single = warm if name == "postgres" else cold
        for part in parts:  # the same rows in the tier that they are compared with
            single.write("once", part) if name == "postgres" else cold.add("once", part)  # type: ignore[union-attr]  # by name
        keys = {"fills": ["fill_id"], "once": ["fill_id"]}
        catalogue = Catalogue(tiers.hot, warm, cold, keys=keys)

        def ask(table: str, asked: Catalogue = catalogue) -> pl.DataFrame:
            scan = asked.scan(table).group_by("instrument_id")
            return scan.agg(pl.col("quantity").sum(), pl.len()).sort("instrument_id").collect()

        assert ask("fills").equals(ask("once"))
        three, one = in_turns(lambda a=ask: a("fills"), lambda a=ask: a("once"))
        figures |= {
            f"across_{name}_ms": round(three * 1e3, 1),
            f"one_tier_{name}_ms": round(one * 1e3, 1),
            f"across_times_one_tier_{name}": round(three / one, 2),
        }
    return figures


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000, help="of the cold table")
    parser.add_argument("--folder", type=Path, help="keeps the cold table for the next run")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        redis_server() as redis,
        postgres_server() as postgres,
    ):
        folder, address = Path(scratch), PostgresAddress(postgres.url)
        figures = hot_reads(folder, redis) | warm_appends(address)
        figures |= across_tiers(folder, address)
        figures |= cold_scan(given.folder or folder, given.rows)
    for name, value in figures.items():
        print(f"{name:32s} {value}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
