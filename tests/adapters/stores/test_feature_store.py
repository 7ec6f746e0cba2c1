"""The feature store as the assets use it, and equal to what Feast itself says."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from adapters.stores.feature_store import FeastFeatureStore
from adapters.stores.postgres_address import PostgresAddress
from features.store.families import (
    MARKET_ID,
    TRAINING_SERVICE,
    families,
    feature_names,
    market_features,
)
from tests.services import postgres_server, redis_server

_START = datetime(2023, 12, 20, 21, tzinfo=UTC)
_END = _START + timedelta(days=400)
_IDS = ["US.A", "US.B", "FX.C"]


def make_rows(days: int = 30, *, seed: int = 1, first: datetime = _START) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    times = [first + timedelta(days=d) for d in range(days)]
    count = days * len(_IDS)
    values = random.standard_normal((count, len(feature_names())))
    values[random.random(values.shape) < 0.1] = np.nan
    market = {n: np.repeat(random.standard_normal(days), len(_IDS)) for n in market_features()}
    return pl.DataFrame(
        {
            "instrument_id": _IDS * days,
            "event_time": np.repeat(np.array(times, dtype=object), len(_IDS)).tolist(),
            **{n: market.get(n, values[:, i]) for i, n in enumerate(feature_names())},
        }
    ).with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")),
        knowledge_time=pl.col("event_time") + pl.duration(minutes=20),
        as_of=pl.col("event_time") + pl.duration(minutes=30),
    )


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresAddress]:
    with postgres_server() as server:
        yield PostgresAddress(server.url)


@pytest.fixture(params=["embedded", "servers"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FeastFeatureStore:
    """Online rows and registry in files, or in Redis and in PostgreSQL."""
    if request.param == "embedded":
        return FeastFeatureStore(tmp_path)
    return FeastFeatureStore(
        tmp_path,
        redis_url=request.getfixturevalue("redis_url"),
        postgres=request.getfixturevalue("postgres"),
        project=f"p{abs(hash(tmp_path))}",
    )


@pytest.fixture
def local(tmp_path: Path) -> FeastFeatureStore:
    return FeastFeatureStore(tmp_path)


def entities_at(time: datetime) -> pl.DataFrame:
    return pl.DataFrame(
        {"instrument_id": [*_IDS, "stranger"], "event_timestamp": [time] * 4}
    ).with_columns(pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")))


def test_applying_twice_registers_the_same_names(local: FeastFeatureStore) -> None:
    first = local.apply()

    assert local.apply() == first
    assert {*families(), "training_v1", "decision_v1", "market_v1", "instrument"} <= set(first)
    assert {v.name for v in local.feast().list_feature_views()} == {*families(), "market_state"}


def test_applying_forgets_what_is_no_longer_defined(local: FeastFeatureStore) -> None:
    local.apply()
    feast_store = local.feast()
    import feast

    feast_store.apply([feast.Entity(name="old", join_keys=["old"])])
    local.apply()

    assert "old" not in {e.name for e in feast_store.list_entities()}


def test_a_training_set_holds_what_was_known_and_keeps_every_row(local: FeastFeatureStore) -> None:
    rows = make_rows()
    local.apply()
    local.write_offline(rows, start=_START, end=_END)
    time = _START + timedelta(days=10, minutes=10)  # the tenth session is not known yet

    entities = entities_at(time).with_columns(label=pl.Series([1, 2, 3, 4]))
    frame = local.training_set(entities, TRAINING_SERVICE)

    known = rows.filter(pl.col("event_time") == _START + timedelta(days=9)).fill_nan(None)
    expected = known.select(feature_names())
    assert frame.select(entities.columns).equals(entities)
    assert frame.head(3).select(feature_names()).equals(expected)
    assert all(v is None for v in frame.row(3)[3:])


def test_a_span_is_replaced_and_the_rest_stays(local: FeastFeatureStore) -> None:
    """Across the turn of the year, where the table's partitions meet."""
    local.apply()
    path = local.write_offline(make_rows(), start=_START, end=_END)
    middle = _START + timedelta(days=8)
    fresh = make_rows(10, seed=2, first=middle)

    local.write_offline(fresh, start=middle, end=middle + timedelta(days=10))

    assert path.is_dir()
    name = feature_names()[0]
    for day, source in ((7, make_rows()), (8, fresh), (17, fresh), (18, make_rows())):
        time = _START + timedelta(days=day)
        found = local.training_set(entities_at(time + timedelta(hours=1)), TRAINING_SERVICE)
        want = source.filter(pl.col("event_time") == time)[name].fill_nan(None).to_list()
        assert found[name].to_list()[:3] == want


def test_writing_the_same_span_twice_changes_no_value(local: FeastFeatureStore) -> None:
    local.apply()
    answers = []
    for _ in range(2):
        local.write_offline(make_rows(), start=_START, end=_END)
        answers.append(local.training_set(entities_at(_END), TRAINING_SERVICE))

    assert answers[0].equals(answers[1])


def test_an_empty_span_takes_its_rows_away(local: FeastFeatureStore) -> None:
    local.apply()
    local.write_offline(make_rows(), start=_START, end=_END)
    local.write_offline(make_rows().clear(), start=_START, end=_END)

    frame = local.training_set(entities_at(_START + timedelta(days=5)), TRAINING_SERVICE)

    assert frame.select(feature_names()).null_count().row(0) == (4,) * len(feature_names())


def test_rows_outside_their_span_are_refused_and_nothing_is_written(
    local: FeastFeatureStore, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="30 of 90 had not"):
        local.write_offline(make_rows(), start=_START, end=_START + timedelta(days=20))

    assert not (tmp_path / "offline").exists()


def test_rows_without_a_feature_are_refused_by_its_name(local: FeastFeatureStore) -> None:
    rows = make_rows().drop("ret_1d")

    for refused in (
        lambda: local.push_online(rows),
        lambda: local.write_offline(rows, start=_START, end=_END),
    ):
        with pytest.raises(ValueError, match=r"must have the columns \['ret_1d'\]"):
            refused()


def test_the_newest_row_is_online_and_an_older_push_is_not_taken(store: FeastFeatureStore) -> None:
    rows = make_rows(5)
    newest = rows.filter(pl.col("event_time") == rows["event_time"].max())

    assert store.push_online(rows) == 3
    store.push_online(rows.head(6))
    frame = store.online(["FX.C", "stranger", "US.A"], "decision_v1")

    assert frame["instrument_id"].to_list() == ["FX.C", "stranger", "US.A"]
    assert frame["event_time"].to_list() == [newest["event_time"][0], None, newest["event_time"][0]]
    expected = newest.fill_nan(None).select(feature_names())
    assert frame.select(feature_names()).row(0) == expected.row(2)
    assert frame.select(feature_names()).row(2) == expected.row(0)


def test_nothing_pushed_changes_nothing(store: FeastFeatureStore) -> None:
    store.push_online(make_rows(2))
    before = store.online(_IDS, "decision_v1")

    assert store.push_online(make_rows(2).clear()) == 0
    assert store.online(_IDS, "decision_v1").equals(before)


def test_a_store_opened_before_another_applied_sees_what_it_applied(tmp_path: Path) -> None:
    early, late = FeastFeatureStore(tmp_path), FeastFeatureStore(tmp_path)
    early.feast().list_entities(allow_cache=True)
    late.apply()
    late.write_offline(make_rows(), start=_START, end=_END)

    frame = early.training_set(entities_at(_START + timedelta(days=3)), TRAINING_SERVICE)

    assert frame.height == 4


def test_online_equals_feast_and_training_equals_online(store: FeastFeatureStore) -> None:
    """One row, three ways to it: the fast path, Feast's own call, and the offline join."""
    rows = make_rows()
    store.apply()
    store.write_offline(rows, start=_START, end=_END)
    store.push_online(rows)
    asked = [*_IDS, "stranger"]

    fast = store.online(asked, "decision_v1")
    feast_store = store.feast()
    slow = feast_store.get_online_features(
        features=feast_store.get_feature_service("decision_v1"),
        entity_rows=[{"instrument_id": i} for i in asked],
    ).to_dict()
    offline = store.training_set(entities_at(rows["knowledge_time"].max()), "decision_v1")

    names = [c for c in fast.columns if c not in ("event_time", "knowledge_time")]
    assert sorted(names) == sorted(slow)
    for name in names:
        assert fast[name].to_list() == slow[name] == offline[name].to_list(), name


def test_a_push_through_feast_is_read_by_the_fast_path(store: FeastFeatureStore) -> None:
    rows = make_rows(3)
    newest = rows.filter(pl.col("event_time") == rows["event_time"].max())
    store.apply()

    store.feast().push("instrument_push", newest.drop("as_of").to_pandas())

    frame = store.online(_IDS, "decision_v1")
    assert frame.select(feature_names()).equals(newest.fill_nan(None).select(feature_names()))
    assert frame["knowledge_time"].to_list() == newest["knowledge_time"].to_list()


def test_materialization_through_feast_fills_the_same_online_rows(
    local: FeastFeatureStore,
) -> None:
    rows = make_rows(5)
    local.apply()
    local.write_offline(rows, start=_START, end=_END)

    local.feast().materialize(start_date=_START, end_date=_END, feature_views=["returns"])

    newest = rows.filter(pl.col("event_time") == rows["event_time"].max()).fill_nan(None)
    names = families()["returns"]
    assert local.online(_IDS, "decision_v1").select(names).equals(newest.select(names))


def test_another_process_sees_a_registry_in_postgres(
    tmp_path: Path, postgres: PostgresAddress
) -> None:
    project = f"shared{abs(hash(tmp_path))}"
    one, other = (
        FeastFeatureStore(tmp_path / name, postgres=postgres, project=project) for name in "ab"
    )
    one.apply()
    one.apply()  # changes nothing

    names = {service.name for service in other.feast().list_feature_services()}
    assert names == {"training_v1", "decision_v1", "market_v1"}
    assert not (tmp_path / "a" / "registry.db").exists()


def test_the_market_is_one_row_under_its_own_key(local: FeastFeatureStore) -> None:
    rows = make_rows(4)
    local.push_online(rows)

    frame = local.online([MARKET_ID], "market_v1")

    newest = rows.filter(pl.col("event_time") == rows["event_time"].max())
    assert frame.select(market_features()).row(0) == newest.select(market_features()).row(0)
    assert frame["market_id"].to_list() == [MARKET_ID]


def test_an_unknown_service_is_refused(local: FeastFeatureStore) -> None:
    with pytest.raises(KeyError, match="service must be one of"):
        local.online(_IDS, "decision_v9")
    with pytest.raises(KeyError, match="service must be one of"):
        local.training_set(entities_at(_START), "decision_v9")


def test_the_feast_ui_opens_on_what_was_applied(local: FeastFeatureStore) -> None:
    from fastapi.testclient import TestClient

    local.apply()
    from feast.ui_server import get_app

    client = TestClient(get_app(local.feast(), "apiary"))

    assert "<title>Feast" in client.get("/").text
    services = client.get("/api/v1/feature_services", params={"project": "apiary"}).json()
    names = {s["spec"]["name"] for s in services["featureServices"]}
    assert names == {"training_v1", "decision_v1", "market_v1"}


def test_writing_and_online_reading_do_not_import_feast(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from adapters.stores.feature_store import FeastFeatureStore\n"
        "from tests.adapters.stores.test_feature_store import _END, _START, make_rows\n"
        "store = FeastFeatureStore(Path(sys.argv[1]))\n"
        "store.write_offline(make_rows(), start=_START, end=_END)\n"
        "store.push_online(make_rows())\n"
        "assert store.online(['US.A'], 'decision_v1').height == 1\n"
        "assert 'feast' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
