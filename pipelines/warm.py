"""Does once, at installation, what the first run would wait for: kernels and the default data.

    python -m pipelines.warm colony|features|data

A small made-up market goes through the same functions as a real one; what numba compiles on the
way is kept beside the modules. Nothing is stored and no number of it is used.
"""

import gc
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from adapters.stores.feature_store import FeastFeatureStore
    from features.schemas import TableSchema

NAMES = tuple(f"US.W{i}" for i in range(6))
SESSIONS = 300
START = datetime(2018, 1, 2, 21, tzinfo=UTC)


def bars() -> pl.DataFrame:
    """Return six seeded walks of daily bars, one of them closes alone."""
    generator = np.random.default_rng(0)
    times = [START + timedelta(days=i) for i in range(SESSIONS)]
    frames: list[pl.DataFrame] = []
    for name in NAMES:
        close = 50.0 * np.exp(np.cumsum(0.01 * generator.standard_normal(SESSIONS)))
        frames.append(
            pl.DataFrame(
                {
                    "instrument_id": name,
                    "interval": "1d",
                    "event_time": times,
                    "knowledge_time": [t + timedelta(minutes=15) for t in times],
                    "open": close,
                    "high": close * 1.01,
                    "low": close * 0.99,
                    "close": close,
                    "volume": generator.integers(1_000, 9_000, SESSIONS).astype(float),
                    "adjustment": "split",
                    "currency": "USD",
                    "source": "warm",
                    "source_row": range(SESSIONS),
                }
            )
        )
    whole = pl.concat(frames)
    alone = pl.col("instrument_id") == NAMES[0]
    return whole.with_columns(
        pl.when(alone).then(None).otherwise(pl.col(c)).alias(c)
        for c in ("open", "high", "low", "volume")
    )


def warm_features() -> None:
    """Validate the bars, compute the catalogue, and join it point in time."""
    from adapters.stores.feature_store import FeastFeatureStore
    from features import catalog, validation
    from features.schemas import BARS, MACRO, NEWS
    from features.store.families import TRAINING_SERVICE

    rows = BARS.conform(bars())
    end = START + timedelta(days=SESSIONS + 1)
    validation.check("bars", rows, context=validation.CheckContext(as_of=end))
    # Old bars that are revised go through kernels of their own.
    revised = rows[SESSIONS - 9].with_columns(knowledge_time=pl.lit(START + timedelta(days=295)))
    versions = pl.concat([rows, revised.with_columns(pl.col("close") * 1.01)])
    inputs = catalog.FeatureInputs(bars=versions, macro=_macro(MACRO), news=_news(NEWS))
    found = catalog.compute(inputs, start=START, end=end, as_of_offset=timedelta(hours=2))
    _join(FeastFeatureStore, found, end, TRAINING_SERVICE)


def _macro(schema: "TableSchema") -> pl.DataFrame:
    times = [START + timedelta(days=i) for i in range(SESSIONS)]
    return schema.conform(
        pl.DataFrame(
            {
                "series_id": "VIXCLS",
                "event_time": times,
                "knowledge_time": times,
                "value": np.linspace(10.0, 30.0, SESSIONS),
                "source": "warm",
            }
        )
    )


def _news(schema: "TableSchema") -> pl.DataFrame:
    return schema.conform(
        pl.DataFrame(
            {
                "news_id": ["warm"],
                "event_time": [START],
                "knowledge_time": [START],
                "headline": ["profits rise"],
                "source": ["warm"],
            }
        )
    )


def _join(
    store_class: "type[FeastFeatureStore]", rows: pl.DataFrame, end: datetime, service: str
) -> None:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        store = store_class(Path(folder))
        store.apply()
        store.write_offline(rows, start=START, end=end)
        entities = rows.select("instrument_id", event_timestamp=pl.col("as_of")).tail(50)
        store.training_set(entities, service)
        store.push_online(rows.tail(len(NAMES)))
        store.online(NAMES, service)
        store.close()


def warm_colony() -> None:
    """Let a colony with the shipped settings decide a few bars."""
    from features.catalog import CATALOG
    from pipelines.settings import DEFAULT_CONFIG, read_colony, read_settings
    from swarm_core.colony.engine import new_state, step
    from swarm_core.colony.observation import Observation

    settings = read_colony(read_settings(DEFAULT_CONFIG))
    generator = np.random.default_rng(0)
    state = new_state(settings, NAMES, 1)
    prices = np.full(len(NAMES), 50.0)
    for bar in range(80):
        prices = prices * np.exp(0.01 * generator.standard_normal(len(NAMES)))
        features = {f.name: generator.standard_normal(len(NAMES)) for f in CATALOG}
        features["forecast"] = generator.standard_normal(len(NAMES))
        observation = Observation(
            time_ns=(bar + 1) * 86_400 * 10**9,
            instrument_ids=NAMES,
            prices=prices,
            sigma=np.full(len(NAMES), 0.01),
            features=features,
            market={"vix": 20.0},
            weights=np.zeros(len(NAMES)),
            nav=1e6,
            sectors=("unknown",) * len(NAMES),
            currencies=("USD",) * len(NAMES),
            data_age_s=np.zeros(len(NAMES)),
        )
        state, _ = step(settings, state, observation)


def fetch_data() -> None:
    """Fetch the default data into the shipped configuration's home; the first run can as well."""
    from adapters.sources.default_data import DefaultDataSource
    from pipelines.settings import DEFAULT_CONFIG, read_settings

    try:
        DefaultDataSource(read_settings(DEFAULT_CONFIG).home / "cache", print).prepare()
    except OSError as error:
        print(f"the default data are left to the first run: {error}")


if __name__ == "__main__":
    gc.set_threshold(100_000, 20, 10)  # compiling makes millions of objects that live
    {"colony": warm_colony, "features": warm_features, "data": fetch_data}[sys.argv[1]]()
