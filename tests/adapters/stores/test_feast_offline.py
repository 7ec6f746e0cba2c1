"""Feast's own retrieval on our offline store, against a brute-force reading of the same rows."""

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.feast_loading import load_feast

_START = datetime(2024, 1, 1, tzinfo=UTC)
_UTC = pl.Datetime("us", "UTC")
_OFFLINE = "adapters.stores.feast_offline.PolarsOfflineStore"

keys = st.sampled_from(["A", "B", "C"])
values = st.one_of(st.none(), st.floats(-9, 9))
prices = st.lists(
    st.tuples(keys, st.integers(0, 9), st.integers(0, 12), values, values), max_size=20
)
moods = st.lists(st.tuples(st.integers(0, 9), values), max_size=10)
questions = st.lists(
    st.tuples(st.sampled_from(["A", "B", "stranger", None]), st.integers(-1, 14)),
    min_size=1,
    max_size=12,
)


def hour(tick: int) -> datetime:
    return _START + timedelta(hours=tick)


class Market(NamedTuple):
    """A Feast store with two price views on one source and a mood view on another."""

    store: Any
    folder: Path

    def write(self, price_rows: list[tuple], mood_rows: list[tuple]) -> None:
        columns = list(zip(*price_rows, strict=True)) if price_rows else [[]] * 5
        pl.DataFrame(
            {
                "key": pl.Series(columns[0], dtype=pl.String),
                "event": pl.Series([hour(t) for t in columns[1]], dtype=_UTC),
                "known": pl.Series([hour(t) for t in columns[2]], dtype=_UTC),
                "bid": pl.Series(columns[3], dtype=pl.Float64),
                "ask": pl.Series(columns[4], dtype=pl.Float64),
            }
        ).write_parquet(self.folder / "prices.parquet")
        columns = list(zip(*mood_rows, strict=True)) if mood_rows else [[]] * 2
        pl.DataFrame(
            {
                "happened": pl.Series([hour(t) for t in columns[0]], dtype=_UTC),
                "market": pl.Series(["M"] * len(mood_rows), dtype=pl.String),
                "mood_raw": pl.Series(columns[1], dtype=pl.Float64),
            }
        ).write_parquet(self.folder / "moods.parquet")

    def ask(self, entities: Any, *, features: list[str] | None = None, **options: Any) -> Any:
        wanted = features or ["bids:bid", "asks:ask", "moods:mood"]
        return self.store.get_historical_features(entity_df=entities, features=wanted, **options)


def spread(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"spread": inputs["ask"] - inputs["bid"]})


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    feast = load_feast()
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.types import Float64
    from feast.value_type import ValueType

    folder = tmp_path_factory.mktemp("market")
    config = feast.RepoConfig(
        project="test",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store={"type": _OFFLINE},
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    key = feast.Entity(name="thing", join_keys=["key"], value_type=ValueType.STRING)
    place = feast.Entity(name="market", join_keys=["market"], value_type=ValueType.STRING)
    price_source = feast.FileSource(
        name="prices",
        path="prices.parquet",
        timestamp_field="event",
        created_timestamp_column="known",
    )
    mood_source = feast.FileSource(
        name="moods",
        path="moods.parquet",
        timestamp_field="happened",
        field_mapping={"mood_raw": "mood"},
    )

    def view(name: str, entity: Any, feature: str, source: Any, hours: int) -> Any:
        return feast.FeatureView(
            name=name,
            entities=[entity],
            ttl=timedelta(hours=hours),
            schema=[feast.Field(name=feature, dtype=Float64)],
            source=source,
        )

    bids = view("bids", key, "bid", price_source, 4)
    asks = view("asks", key, "ask", price_source, 4)
    on_demand = OnDemandFeatureView(
        name="spreads",
        sources=[bids, asks],
        schema=[feast.Field(name="spread", dtype=Float64)],
        udf=spread,
        udf_string=inspect.getsource(spread),
        mode="pandas",
    )
    store = feast.FeatureStore(config=config)
    moods_view = view("moods", place, "mood", mood_source, 0)
    store.apply([key, place, price_source, mood_source, bids, asks, moods_view, on_demand])
    return Market(store, folder)


def entities_of(asked: list[tuple]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": pl.Series([k for k, _ in asked], dtype=pl.String),
            "market": "M",
            "event_timestamp": pl.Series([hour(t) for _, t in asked], dtype=_UTC),
            "label": list(range(len(asked))),
        }
    )


def brute_force(asked: list[tuple], price_rows: list[tuple], mood_rows: list[tuple]) -> list[tuple]:
    answers = []
    for key, time in asked:
        known = [
            (event, created, number)
            for number, (row_key, event, created, *_) in enumerate(price_rows)
            if row_key == key and event <= time <= event + 4 and created <= time
        ]
        heard = [(event, number) for number, (event, _) in enumerate(mood_rows) if event <= time]
        bid, ask = price_rows[max(known)[2]][3:] if known else (None, None)
        answers.append((bid, ask, mood_rows[max(heard)[1]][1] if heard else None))
    return answers


@settings(deadline=None, max_examples=60)
@given(questions, prices, moods)
def test_feast_returns_what_brute_force_returns(
    market: Market, asked: list[tuple], price_rows: list[tuple], mood_rows: list[tuple]
) -> None:
    """Several views, ties, borders of age, revisions, strangers, null keys and values, repeats."""
    market.write(price_rows, mood_rows)
    entities = entities_of(asked)

    result = market.ask(entities).to_polars()

    assert result.select(entities.columns).equals(entities)
    assert result.select("bid", "ask", "mood").rows() == brute_force(asked, price_rows, mood_rows)


_PRICES = [("A", 1, 1, 1.0, 2.0), ("A", 1, 4, 9.0, 9.5), ("B", 2, 2, None, 3.0)]


def test_a_value_revised_after_the_decision_does_not_leak_even_if_nobody_asks(
    market: Market,
) -> None:
    market.write(_PRICES, [])
    entities = entities_of([("A", 2), ("A", 4)])

    for options in ({}, {"filter_by_created_timestamp": True}):
        assert market.ask(entities, **options).to_polars()["bid"].to_list() == [1.0, 9.0]


@pytest.mark.parametrize("kind", ["pandas", "arrow", "lazy"])
def test_every_kind_of_table_gives_the_same_answer(market: Market, kind: str) -> None:
    market.write(_PRICES, [(0, 5.0)])
    entities = entities_of([("B", 3), ("A", 5), ("stranger", 3)])
    given_as = {
        "pandas": entities.to_pandas(),
        "arrow": entities.to_arrow(),
        "lazy": entities.lazy(),
    }

    job = market.ask(given_as[kind])

    expected = market.ask(entities).to_polars()
    assert job.to_polars().equals(expected)
    assert pl.DataFrame(pl.from_arrow(job.to_arrow())).equals(expected)
    frame = job.to_df()
    assert isinstance(frame, pd.DataFrame)
    assert frame["label"].tolist() == [0, 1, 2]
    assert frame["ask"].isna().tolist() == [False, False, True]


def test_entities_that_are_not_a_table_are_refused(market: Market) -> None:
    with pytest.raises(TypeError, match="must be a polars, pandas or Arrow table, was str"):
        market.ask("SELECT 1")


def test_entities_without_a_key_are_refused(market: Market) -> None:
    market.write(_PRICES, [])
    with pytest.raises(ValueError, match=r"must have the columns \['key'\]"):
        market.ask(entities_of([("A", 2)]).drop("key")).to_polars()


def test_entities_that_bring_a_column_of_a_features_name_are_refused(market: Market) -> None:
    market.write(_PRICES, [])
    with pytest.raises(ValueError, match=r"named like features, had \['bid'\]"):
        market.ask(entities_of([("A", 2)]).rename({"label": "bid"})).to_polars()


def test_full_names_carry_their_view(market: Market) -> None:
    market.write(_PRICES, [])

    result = market.ask(entities_of([("A", 2)]), full_feature_names=True).to_polars()

    assert result["bids__bid"].to_list() == [1.0]
    assert {"asks__ask", "moods__mood"} <= set(result.columns)


@pytest.mark.parametrize("full", [False, True])
def test_on_demand_features_are_computed_from_what_was_retrieved(
    market: Market, full: bool
) -> None:
    market.write(_PRICES, [])
    wanted = ["bids:bid", "asks:ask", "spreads:spread"]

    job = market.ask(entities_of([("A", 2), ("B", 3)]), features=wanted, full_feature_names=full)

    name = "spreads__spread" if full else "spread"
    assert job.to_polars()[name].to_list() == [1.0, None]
    assert job.to_arrow()[name].to_pylist() == [1.0, None]


def test_what_is_persisted_is_what_was_retrieved_and_is_not_overwritten(market: Market) -> None:
    from feast.errors import SavedDatasetLocationAlreadyExists
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    market.write(_PRICES, [])
    job = market.ask(entities_of([("A", 2)]))
    storage = SavedDatasetFileStorage(path="saved/set.parquet")

    job.persist(storage, allow_overwrite=True)

    assert pl.read_parquet(market.folder / "saved/set.parquet").equals(job.to_polars())
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)


def pulled(market: Market, how: str, **span: datetime | None) -> list[tuple]:
    job = getattr(market.store._get_provider().offline_store, how)(
        config=market.store.config,
        data_source=market.store.get_data_source("prices"),
        join_key_columns=["key"],
        feature_name_columns=["bid"],
        timestamp_field="event",
        created_timestamp_column="known",
        **span,
    )
    return job.to_polars().select("key", "bid").rows()


def test_the_latest_rows_are_the_newest_known_of_each_key(market: Market) -> None:
    market.write(_PRICES, [])
    span = {"start_date": hour(0), "end_date": hour(9)}

    latest = pulled(market, "pull_latest_from_table_or_query", **span)

    assert sorted(latest, key=str) == [("A", 9.0), ("B", None)]


def test_all_rows_of_a_span_come_with_every_version_and_both_ends(market: Market) -> None:
    market.write(_PRICES, [])
    how = "pull_all_from_table_or_query"

    assert len(pulled(market, how, start_date=hour(1), end_date=hour(2))) == 3
    assert pulled(market, how, start_date=hour(2), end_date=None) == [("B", None)]
    assert len(pulled(market, how, start_date=None, end_date=hour(1))) == 2


def test_rows_written_through_feast_are_found_by_it(market: Market) -> None:
    market.write(_PRICES, [])
    late = pd.DataFrame(
        {"key": ["A"], "event": [hour(6)], "known": [hour(6)], "bid": [4.0], "ask": [5.0]}
    )

    market.store.write_to_offline_store("bids", late)

    assert market.ask(entities_of([("A", 7), ("A", 5)])).to_polars()["bid"].to_list() == [4.0, 9.0]


def test_a_source_without_rows_yet_is_reported_by_its_path(market: Market) -> None:
    (market.folder / "prices.parquet").unlink(missing_ok=True)

    with pytest.raises(FileNotFoundError, match=r"prices\.parquet, which does not exist"):
        market.ask(entities_of([("A", 2)])).to_polars()


def test_a_saved_dataset_is_read_back_through_feast(market: Market) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    market.write(_PRICES, [])
    job = market.ask(entities_of([("A", 2), ("B", 3)]), features=["asks:ask"])

    saved = market.store.create_saved_dataset(
        from_=job,
        name="asks_of_a_day",
        storage=SavedDatasetFileStorage(path="saved/asks.parquet"),
        allow_overwrite=True,
    )

    assert saved.to_df()["ask"].tolist() == [2.0, 3.0]


def test_an_arrow_entity_frame_keeps_columns_that_end_in_y(market: Market) -> None:
    market.write(_PRICES, [])
    entities = entities_of([("A", 2)]).rename({"label": "label_y"}).to_arrow()

    assert isinstance(entities, pa.Table)
    assert market.ask(entities).to_arrow()["label_y"].to_pylist() == [0]
