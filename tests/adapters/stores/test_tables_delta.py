"""The Delta table store: versions only grow, nothing is written twice, every read repeats."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.secrets.key_file import KeyFile
from adapters.stores.cold_places import LocalPlace, S3Place
from adapters.stores.envelope import Sealer
from adapters.stores.revisions import SilentRevisionError
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.tables_delta import DeltaTableStore
from features.schemas import CORPORATE_ACTIONS
from features.session_actions import unadjusted
from tests.services import S3Process, s3_server

KEY = ("instrument_id", "event_time")
NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ODD = "a höme #1 (100%)"  # a folder's name that no address takes as it is


def make_rows(
    *closes: float,
    instrument_id: str = "US.A",
    first: datetime = NOON,
    known_after: timedelta = timedelta(minutes=15),
    **more: object,
) -> pl.DataFrame:
    times = [first + DAY * i for i in range(len(closes))]
    return pl.DataFrame(
        {
            "instrument_id": [instrument_id] * len(closes),
            "event_time": times,
            "knowledge_time": [t + known_after for t in times],
            "close": list(closes),
            "source": ["file@1"] * len(closes),
            "source_row": list(range(len(closes))),
        },
        schema_overrides={
            "instrument_id": pl.String(),
            "source": pl.String(),
            "source_row": pl.Int64(),
            "event_time": pl.Datetime("us", "UTC"),
            "knowledge_time": pl.Datetime("us", "UTC"),
            "close": pl.Float64(),
        },
    ).with_columns(**{k: pl.lit(v) for k, v in more.items()})


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


@pytest.fixture(params=["folder", "s3", "sealed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeltaTableStore:
    """One contract for a folder, for S3-compatible storage, and for encrypted files."""
    if request.param == "sealed":
        keys = KeyFile(tmp_path / "keys.json")
        keys.ensure_owner("desk")
        place = SealedPlace(LocalPlace(tmp_path / ODD), Sealer("desk", keys), only_sealed=True)
        return DeltaTableStore(place)
    if request.param == "folder":
        return DeltaTableStore(tmp_path / ODD)
    process: S3Process = request.getfixturevalue("s3")
    return DeltaTableStore(S3Place(f"s3://cold/{tmp_path.name}", process.access(), locks=tmp_path))


def first_version(store: DeltaTableStore) -> int:
    """Return the version of a table's first rows: shared storage makes the table before them."""
    return int(store.place.shared)


def test_rows_come_back_as_they_went_in(store: DeltaTableStore) -> None:
    rows = make_rows(1.0, -2.5, float("inf"), None, float("nan"))  # type: ignore[arg-type]  # null

    receipt = store.append("bars", rows.sample(fraction=1.0, shuffle=True, seed=1), key=KEY)

    assert (receipt.version, receipt.inserted_row_count) == (first_version(store), 5)
    assert store.read("bars").equals(rows)
    assert store.read("bars").schema == rows.schema


def test_the_same_rows_again_make_no_new_version(store: DeltaTableStore) -> None:
    first = store.append("bars", make_rows(1.0, 2.0), key=KEY)
    again = store.append("bars", make_rows(1.0, 2.0).reverse(), key=KEY)

    assert (again.version, again.inserted_row_count) == (first_version(store), 0)
    assert again.content_hash == first.content_hash


def test_a_later_download_of_the_same_values_keeps_the_first_knowledge_time(
    store: DeltaTableStore,
) -> None:
    store.append("bars", make_rows(1.0), key=KEY)

    receipt = store.append("bars", make_rows(1.0, known_after=9 * DAY, source_row=7), key=KEY)

    assert receipt.inserted_row_count == 0
    assert store.read("bars")["knowledge_time"].to_list() == [NOON + timedelta(minutes=15)]


def test_a_revision_is_a_new_row_and_a_return_to_the_old_value_another(
    store: DeltaTableStore,
) -> None:
    for days, close in ((0, 1.0), (1, 2.0), (2, 1.0), (3, 1.0)):
        store.append("bars", make_rows(close, known_after=days * DAY), key=KEY)

    assert store.read("bars")["close"].to_list() == [1.0, 2.0, 1.0]
    assert store.version("bars") == first_version(store) + 2


def test_revisions_within_one_batch_are_weighed_against_each_other(store: DeltaTableStore) -> None:
    batch = pl.concat([make_rows(c, known_after=d * DAY) for d, c in enumerate((1.0, 1.0, 3.0))])

    assert store.append("bars", batch, key=KEY).inserted_row_count == 2


def test_a_silent_revision_is_refused_and_changes_nothing(store: DeltaTableStore) -> None:
    store.append("bars", make_rows(1.0, 2.0), key=KEY)

    with pytest.raises(SilentRevisionError, match=r"1 rows changed.*US\.A"):
        store.append("bars", make_rows(1.0, 2.5, 3.0), key=KEY)

    assert store.read("bars")["close"].to_list() == [1.0, 2.0]


def test_a_silent_revision_is_known_only_from_its_ingest_on(store: DeltaTableStore) -> None:
    store.append("bars", make_rows(1.0, 2.0), key=KEY)
    seen = NOON + 30 * DAY
    for ingested_at in (seen, seen + DAY):  # the second ingest sees the same file again
        store.append("bars", make_rows(1.0, 2.5), key=KEY, ingested_at=ingested_at)

    assert store.read("bars")["close"].to_list() == [1.0, 2.0, 2.5]
    assert store.read("bars", known_by=seen - DAY)["close"].to_list() == [1.0, 2.0]
    assert store.read("bars")["knowledge_time"][2] == seen


def test_a_file_that_grew_adds_only_its_new_rows(store: DeltaTableStore) -> None:
    key = (*KEY, "source")
    store.append("bars", make_rows(1.0, 2.0), key=key)

    grown = make_rows(1.0, 2.0, 3.0, source="file@2").with_columns(pl.col("source_row") + 1)

    assert store.append("bars", grown, key=key).inserted_row_count == 1
    assert store.read("bars")["source"].to_list() == ["file@1", "file@1", "file@2"]
    other = make_rows(7.0, source="another@1")
    assert store.append("bars", other, key=key).inserted_row_count == 1


def test_two_records_of_one_batch_with_one_key_both_stay_for_validation(
    store: DeltaTableStore,
) -> None:
    batch = pl.concat([make_rows(1.0), make_rows(9.0)])

    assert store.append("bars", batch, key=KEY).inserted_row_count == 2
    assert store.append("bars", batch, key=KEY).inserted_row_count == 0


def test_a_read_pinned_to_a_version_repeats(store: DeltaTableStore) -> None:
    pinned = store.append("bars", make_rows(1.0), key=KEY).version
    before = store.read("bars")
    store.append("bars", make_rows(5.0, instrument_id="US.B", note="new column"), key=KEY)

    assert store.read("bars", version=pinned).equals(before)
    assert store.read("bars")["note"].to_list() == [None, "new column"]


def test_a_table_without_knowledge_time_keeps_one_row_a_key(store: DeltaTableStore) -> None:
    names = pl.DataFrame({"instrument_id": ["US.A", "US.B"], "name": ["a", "b"]})
    store.append("instruments", names, key=["instrument_id"])
    store.append("instruments", names, key=["instrument_id"])
    receipt = store.append(
        "instruments", names.tail(1).with_columns(name=pl.lit("B")), key=["instrument_id"]
    )

    assert (receipt.version, receipt.inserted_row_count) == (first_version(store) + 1, 1)
    assert store.read("instruments")["name"].to_list() == ["a", "B"]
    assert store.read("instruments", version=first_version(store))["name"].to_list() == ["a", "b"]


def test_replace_swaps_its_span_in_one_version_and_leaves_the_rest(store: DeltaTableStore) -> None:
    store.replace("nav", make_rows(*range(60)), start=NOON, end=NOON + 60 * DAY)
    span = {"start": NOON + 10 * DAY, "end": NOON + 40 * DAY}

    receipt = store.replace("nav", make_rows(-1.0, first=NOON + 20 * DAY), **span)

    assert receipt.version == first_version(store) + 1
    assert store.read("nav")["close"].to_list() == [*range(10), -1.0, *range(40, 60)]
    assert store.read("nav", version=first_version(store)).height == 60


def test_replace_with_equal_content_makes_no_new_version(store: DeltaTableStore) -> None:
    span = {"start": NOON, "end": NOON + 60 * DAY}
    first = store.replace("nav", make_rows(*range(60)), **span)
    again = store.replace("nav", make_rows(*range(60)).reverse(), **span)

    assert (again.version, again.inserted_row_count) == (first_version(store), 0)
    assert again.content_hash == first.content_hash


def test_replace_with_nothing_empties_its_span(store: DeltaTableStore) -> None:
    store.replace("nav", make_rows(1.0, 2.0, 3.0), start=NOON, end=NOON + 3 * DAY)
    store.replace("nav", make_rows(), start=NOON + DAY, end=NOON + 3 * DAY)

    assert store.read("nav")["close"].to_list() == [1.0]


def test_replace_refuses_rows_outside_its_span(store: DeltaTableStore) -> None:
    with pytest.raises(ValueError, match="rows must lie in"):
        store.replace("nav", make_rows(1.0, 2.0), start=NOON, end=NOON + DAY)
    assert not store.exists("nav")


def test_rows_without_a_time_are_kept_and_added_once(store: DeltaTableStore) -> None:
    undated = make_rows(1.0).with_columns(event_time=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    for first in (NOON, NOON + DAY, NOON):
        store.replace("quarantine", undated, start=first, end=first + DAY)

    assert store.read("quarantine").height == 1


def test_an_empty_write_makes_an_empty_table(store: DeltaTableStore) -> None:
    store.append("news", make_rows(), key=KEY)

    assert store.exists("news")
    assert store.read("news").schema == make_rows().schema


def test_reads_are_bounded_by_event_time_and_by_knowledge(store: DeltaTableStore) -> None:
    store.append("bars", make_rows(*range(100), known_after=2 * DAY), key=KEY)

    some = store.read("bars", start=NOON + 30 * DAY, end=NOON + 70 * DAY, columns=["close"])
    known = store.read("bars", known_by=NOON + 31 * DAY)

    assert some.to_dict(as_series=False) == {"close": [float(i) for i in range(30, 70)]}
    assert known["close"].max() == 29.0


def test_what_is_not_there_raises_key_error(store: DeltaTableStore) -> None:
    with pytest.raises(KeyError, match="no table bars"):
        store.read("bars")
    store.append("bars", make_rows(1.0), key=KEY)
    with pytest.raises(KeyError, match="columns"):
        store.read("bars", columns=["clsoe"])
    with pytest.raises(KeyError, match="no version 9"):
        store.read("bars", version=9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (make_rows(1.0).drop("instrument_id"), "must have the columns"),
        (make_rows(1.0).with_columns(pl.col("event_time").dt.replace_time_zone(None)), "time zone"),
        (make_rows(1.0).with_columns(close=pl.lit(None)), "a type"),
        (make_rows(1.0).with_columns(close=pl.lit([1.0])), "flat type"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused_in_one_line(
    store: DeltaTableStore, rows: pl.DataFrame, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        store.append("bars", rows, key=KEY)
    assert not store.exists("bars")


def test_a_value_that_does_not_fit_the_stored_type_is_refused(store: DeltaTableStore) -> None:
    store.append("bars", make_rows(1.0), key=KEY)

    with pytest.raises(ValueError, match="types of its columns"):
        store.append("bars", make_rows(1.0).with_columns(close=pl.lit("n/a")), key=KEY)


def test_compaction_changes_files_but_no_row(store: DeltaTableStore) -> None:
    for i in range(20):
        store.append("bars", make_rows(float(i), first=NOON + DAY * i), key=KEY)
    before = store.read("bars")

    store.compact("bars")

    assert store.read("bars").equals(before)
    assert store.append("bars", before, key=KEY).inserted_row_count == 0


closes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2)), max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=closes, cut=st.integers(0, 12))
def test_what_is_known_does_not_depend_on_how_ingests_were_cut(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[int, int, int]], cut: int
) -> None:
    """In order of knowledge, one ingest or two give the same value at every as-of time."""
    unique = {(i, k): v for i, k, v in records}
    ordered = sorted(unique.items(), key=lambda r: (r[0][1], r[0][0]))
    batches = [
        make_rows(float(v), instrument_id=f"US.{i}", known_after=k * DAY) for (i, k), v in ordered
    ]
    whole, halves = (DeltaTableStore(tmp_path_factory.mktemp("delta")) for _ in range(2))
    whole.append("bars", pl.concat([make_rows(), *batches]), key=KEY)
    halves.append("bars", pl.concat([make_rows(), *batches[:cut]]), key=KEY)
    halves.append("bars", pl.concat([make_rows(), *batches[cut:]]), key=KEY)

    assert halves.read("bars").equals(whole.read("bars"))
    for (i, k), value in unique.items():
        known = whole.read("bars", known_by=NOON + k * DAY).filter(instrument_id=f"US.{i}")
        assert known.sort("knowledge_time")["close"][-1] == value


def test_a_scan_sees_what_others_wrote_and_a_table_that_was_made_anew(tmp_path: Path) -> None:
    """What was opened once is only looked at again where the log has gone on or is another."""
    reader, writer = DeltaTableStore(tmp_path), DeltaTableStore(tmp_path)
    for day in range(3):
        writer.append("bars", make_rows(float(day), first=NOON + day * DAY), key=KEY)
        for _ in range(2):
            assert reader.scan("bars").collect().height == day + 1
    shutil.rmtree(tmp_path / "bars")
    assert not reader.exists("bars")
    for day in range(3):
        DeltaTableStore(tmp_path).append(
            "bars", make_rows(9.0, first=NOON + (day + 50) * DAY), key=KEY
        )
    assert set(reader.scan("bars").collect()["close"]) == {9.0}


def test_actions_of_before_their_end_was_a_column_are_read_and_revised(
    store: DeltaTableStore,
) -> None:
    """A pay date that is told later is a version of its own, known from then on."""
    told = CORPORATE_ACTIONS.conform(
        pl.DataFrame(
            {
                "instrument_id": ["US.A", "US.B"],
                "event_time": [NOON, NOON],
                "knowledge_time": [NOON, NOON],
                "kind": ["dividend", "dividend"],
                "amount": [0.5, 0.25],
                "source": ["file@1", "file@1"],
            }
        )
    )
    key = CORPORATE_ACTIONS.key
    store.append("raw_corporate_actions", told.drop("end_time"), key=key)

    same = store.append("raw_corporate_actions", told, key=key, ingested_at=NOON + DAY)
    paid = told.with_columns(
        end_time=pl.when(pl.col("instrument_id") == "US.A").then(pl.lit(NOON + 9 * DAY))
    )
    store.append("raw_corporate_actions", paid, key=key, ingested_at=NOON + DAY)

    assert same.inserted_row_count == 0
    rows = store.read("raw_corporate_actions").select("instrument_id", "knowledge_time", "end_time")
    assert rows.rows() == [
        ("US.A", NOON, None),
        ("US.A", NOON + DAY, NOON + 9 * DAY),
        ("US.B", NOON, None),
    ]
    early = store.read("raw_corporate_actions", known_by=NOON)
    assert early["end_time"].to_list() == [None, None]
    assert "end_time" not in store.read("raw_corporate_actions", version=first_version(store))
    chosen = unadjusted(store.read("raw_corporate_actions")).sort("instrument_id")
    assert chosen["end_time"].to_list() == [NOON + 9 * DAY, None]
    first = unadjusted(store.read("raw_corporate_actions", version=first_version(store)))
    assert first["end_time"].to_list() == [None, None]
