"""Point-in-time training set: 500 symbols x 2,500 days x 30 features, ours against the limits.

The bare limit is one polars `join_asof` on event time alone, from Parquet to memory, which knows
nothing of revisions, time to live, nulls in keys or the entities' order. Feast's default (dask)
offline store runs on the same files, through the same call, and both leak-free. Run:
`python -m benchmarks.point_in_time [--symbols 500] [--default-symbols 500]`.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from adapters.stores.feast_loading import load_feast

FEATURES = [f"f{i:02d}" for i in range(30)]
RESULTS = Path(__file__).parent / "results" / "point_in_time.json"
_OURS = "adapters.stores.feast_offline.PolarsOfflineStore"
DAYS = 2_500
MAX_AGE = timedelta(days=10)
REPEATS = 5


def make_data(folder: Path, symbols: int) -> tuple[Path, Path]:
    """Write labels (16:00 of each weekday) and features (a random time of the day), seed 77."""
    random = np.random.default_rng(77)
    days = np.busday_offset("2010-01-04", np.arange(DAYS), roll="forward").astype("M8[us]")
    ids = pl.Series("symbol", [f"S{i:03d}" for i in range(symbols)])
    symbol = ids.gather(np.repeat(np.arange(symbols), DAYS))
    day = np.tile(days, symbols)
    count = symbols * DAYS
    utc = pl.Datetime("us", "UTC")
    labels = pl.DataFrame(
        {
            "symbol": symbol,
            "event_timestamp": pl.Series(day + np.timedelta64(16, "h")).cast(utc),
            "label": random.standard_normal(count),
        }
    )
    event = day + random.integers(0, 86_400, count).astype("m8[s]")
    features = pl.DataFrame(
        {
            "symbol": symbol,
            "event_time": pl.Series(event).cast(utc),
            "knowledge_time": pl.Series(event + np.timedelta64(15, "m")).cast(utc),
            **{name: random.standard_normal(count) for name in FEATURES},
        }
    )
    paths = folder / "labels.parquet", folder / "features.parquet"
    labels.write_parquet(paths[0])
    features.write_parquet(paths[1])
    return paths


def open_store(folder: Path, features: Path, offline: str) -> Any:
    """Return a Feast store with one view over the features, applied."""
    feast = load_feast()
    from feast.types import Float64
    from feast.value_type import ValueType

    folder.mkdir()
    config = feast.RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": offline},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    store = feast.FeatureStore(config=config)
    symbol = feast.Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)
    source = feast.FileSource(
        name="features",
        path=str(features),
        timestamp_field="event_time",
        created_timestamp_column="knowledge_time",
    )
    view = feast.FeatureView(
        name="view",
        entities=[symbol],
        ttl=MAX_AGE,
        schema=[feast.Field(name=f, dtype=Float64) for f in FEATURES],
        source=source,
    )
    store.apply([symbol, source, view])
    return store


def bare_join(labels: Path, features: Path) -> pl.DataFrame:
    """The limit: as-of on event time alone, from Parquet to memory."""
    left = pl.scan_parquet(labels).sort("event_timestamp")
    right = pl.scan_parquet(features).drop("knowledge_time").sort("event_time")
    joined = left.join_asof(
        right,
        left_on="event_timestamp",
        right_on="event_time",
        by="symbol",
        strategy="backward",
        tolerance=MAX_AGE,
    )
    return joined.collect()


def retrieve(store: Any, entities: Any) -> Any:
    """Ask for all features of the view, as known then, through Feast's own interface."""
    return store.get_historical_features(
        entity_df=entities,
        features=[f"view:{f}" for f in FEATURES],
        filter_by_created_timestamp=True,
    )


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median seconds of a call and its last result, after one that is not counted."""
    if repeats > 1:
        work()
    seconds: list[float] = []
    result = None
    for _ in range(repeats):
        result = None
        gc.collect()
        begin = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), result


def measure(symbols: int, default_symbols: int) -> dict[str, Any]:
    """Run every contender in one process and return medians and ratios."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        labels, features = make_data(folder, symbols)
        ours = open_store(folder / "ours", features, _OURS)
        bare_s, bare = timed(lambda: bare_join(labels, features), REPEATS)
        polars_s, frame = timed(
            lambda: retrieve(ours, pl.read_parquet(labels)).to_polars(), REPEATS
        )
        check_shape(frame, bare, symbols * DAYS)
        del bare, frame
        arrow_s, _ = timed(lambda: retrieve(ours, pl.read_parquet(labels)).to_arrow(), REPEATS)
        pandas_s, _ = timed(
            lambda: retrieve(ours, pl.read_parquet(labels).to_pandas()).to_df(), REPEATS
        )
        small = compare_default(folder, labels, features, default_symbols)
    return {
        "rows": symbols * DAYS,
        "features": len(FEATURES),
        "bare_polars_join_s": bare_s,
        "ours_to_polars_s": polars_s,
        "ours_to_arrow_s": arrow_s,
        "ours_pandas_to_pandas_s": pandas_s,
        "ours_to_polars_over_bare": polars_s / bare_s,
        "ours_to_arrow_over_bare": arrow_s / bare_s,
        "ours_pandas_over_bare": pandas_s / bare_s,
        **small,
    }


def check_shape(frame: pl.DataFrame, bare: pl.DataFrame, rows: int) -> None:
    """Stop unless both kept every row and ours never knows more than the join on event time."""
    if frame.height != rows or bare.height != rows:
        raise AssertionError(f"both must have {rows} rows, had {frame.height} and {bare.height}")
    name = FEATURES[0]
    both = frame.select("symbol", "event_timestamp", ours=name).join(
        bare.select("symbol", "event_timestamp", bare=name), on=["symbol", "event_timestamp"]
    )
    same = both.filter(pl.col("ours") == pl.col("bare")).height / rows
    # They differ only where the newest event was not yet known: 15 minutes of each day.
    if not 0.98 < same < 1.0:
        raise AssertionError(f"nearly all rows must be equal, {same:.1%} were")


def compare_default(folder: Path, labels: Path, features: Path, symbols: int) -> dict[str, Any]:
    """Run Feast's default store and ours on the same few symbols, once the default: it is slow.

    It joins every label of a symbol with every row of it before it filters, so that its work grows
    with the square of the days, and 20 symbols ask for 28 GB in one array.
    """
    first = pl.col("symbol") < f"S{symbols:03d}"
    part = folder / "features_part.parquet"
    pl.read_parquet(features).filter(first).write_parquet(part)
    entities = pl.read_parquet(labels).filter(first).to_pandas()
    stores = {
        kind: open_store(folder / name, part, kind)
        for name, kind in (("default", "dask"), ("part", _OURS))
    }
    default_s, theirs = timed(lambda: retrieve(stores["dask"], entities).to_df(), 1)
    ours_s, mine = timed(lambda: retrieve(stores[_OURS], entities).to_df(), REPEATS)
    order = ["symbol", "event_timestamp"]
    joined = theirs.merge(mine, on=order, suffixes=("_default", "_ours"))
    shared = joined[[f"{FEATURES[0]}_default", f"{FEATURES[0]}_ours"]].dropna()
    if not np.allclose(shared.iloc[:, 0], shared.iloc[:, 1], rtol=0, atol=0):
        raise AssertionError("values must equal those of Feast's default store")
    return {
        "few_rows": len(entities),
        "feast_default_few_rows_s": default_s,
        "feast_default_few_rows_kept": len(theirs),
        "ours_few_rows_s": ours_s,
        "feast_default_over_ours_few_rows": default_s / ours_s,
    }


def main() -> None:
    """Print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--default-symbols", type=int, default=1)
    settings = parser.parse_args()
    results = measure(settings.symbols, settings.default_symbols)
    for name, value in results.items():
        print(
            f"{name:42} {value:>14,.3f}" if isinstance(value, float) else f"{name:42} {value:>14,}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
