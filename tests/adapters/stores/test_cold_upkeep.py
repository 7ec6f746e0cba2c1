"""Upkeep of the cold tier: less files, the same rows, and every pinned version as it was."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.stores.cold_places import S3Place
from adapters.stores.cold_sums import ColdSums
from adapters.stores.cold_upkeep import ColdUpkeep
from adapters.stores.tables_delta import DeltaTableStore
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows
from tests.services import S3Process, s3_server

NOTHING = timedelta(0)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DeltaTableStore:
    """Six versions of a table, one row and one file each, all of January."""
    place: Path | S3Place = tmp_path / "cöld 1"
    if request.param == "s3":
        process: S3Process = request.getfixturevalue("s3")
        place = S3Place(f"s3://cold/{tmp_path.name}", process.access(), locks=tmp_path)
    made = DeltaTableStore(place)
    for day in range(6):
        instrument = f"US.{day % 2}"
        rows = make_rows(float(day), first=NOON + day * DAY, instrument_id=instrument)
        made.append("bars", rows, key=KEY)
    return made


def file_count(store: DeltaTableStore) -> int:
    return len(store.open("bars").file_uris())


def test_compaction_leaves_one_file_a_month_and_every_row(store: DeltaTableStore) -> None:
    before = store.read("bars")
    assert file_count(store) == 6

    store.compact("bars")

    assert file_count(store) == 1
    assert store.read("bars").equals(before)
    version = store.version("bars")
    assert store.compact("bars") == version  # nothing is left to do


def test_rows_of_an_instrument_lie_together(store: DeltaTableStore) -> None:
    store.compact("bars")

    lying = store.scan("bars").select("instrument_id").collect()["instrument_id"]
    assert lying.to_list() == ["US.0"] * 3 + ["US.1"] * 3


def test_vacuum_takes_what_nothing_reads_and_keeps_what_is_pinned(store: DeltaTableStore) -> None:
    pinned = store.version("bars") - 3
    as_pinned = store.read("bars", version=pinned)
    store.compact("bars")
    now = store.read("bars")
    upkeep = ColdUpkeep(store, floor=NOTHING)

    removed = upkeep.vacuum("bars", [pinned], retention=NOTHING)

    assert len(removed) == 3
    assert store.read("bars").equals(now)
    assert store.read("bars", version=pinned).equals(as_pinned)
    assert upkeep.can_be_read("bars", pinned)
    assert not upkeep.can_be_read("bars", pinned + 2)
    with pytest.raises(KeyError, match="must have its files"):
        store.read("bars", version=pinned + 2)


def test_a_vacuum_with_nothing_to_do_makes_no_version(store: DeltaTableStore) -> None:
    upkeep = ColdUpkeep(store, floor=NOTHING)
    store.compact("bars")
    upkeep.vacuum("bars", [], retention=NOTHING)
    version = store.version("bars")

    assert upkeep.vacuum("bars", [], retention=NOTHING) == ()
    assert store.version("bars") == version


def test_files_of_a_writer_who_died_go_too(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path)
    store.append("bars", make_rows(1.0), key=KEY)
    orphan = next((tmp_path / "bars").glob("_month=*")) / "part-orphan.parquet"
    orphan.write_bytes(b"half a file")

    removed = ColdUpkeep(store, floor=NOTHING).vacuum("bars", [], retention=NOTHING)

    assert [r.split("/")[-1] for r in removed] == [orphan.name]
    assert not orphan.exists()
    assert store.read("bars").height == 1


def test_a_retention_below_the_floor_is_refused(store: DeltaTableStore) -> None:
    with pytest.raises(ValueError, match="retention must be at least 7 days"):
        ColdUpkeep(store).vacuum("bars", [], retention=timedelta(days=6))


def test_upkeep_of_all_tables_says_what_it_did(store: DeltaTableStore) -> None:
    (report,) = ColdUpkeep(store).keep({"bars": [2]}, retention=timedelta(days=7), files_min=3)

    assert (report.table, report.removed_file_count, report.kept_versions) == ("bars", 0, (2,))
    assert file_count(store) == 1


def test_a_changed_or_missing_file_is_found_and_named(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path)
    for month in range(2):
        store.append("bars", make_rows(1.0, first=NOON + month * 31 * DAY), key=KEY)
    sums = ColdSums(store)
    first = sums.verify("bars")
    changed, gone = sorted((tmp_path / "bars").glob("_month=*/*.parquet"))
    content = bytearray(changed.read_bytes())
    content[len(content) // 3] ^= 1
    changed.write_bytes(content)
    gone.unlink()

    found = sums.verify("bars")

    assert (first.file_count, first.first_seen_count, first.damages) == (2, 2, ())
    named = {d.name.split("/")[-1]: d.reason for d in found.damages}
    assert set(named) == {changed.name, gone.name}
    assert "must be as it was written" in named[changed.name]
    assert named[gone.name] == "is gone"


def test_a_sum_that_was_noted_once_stands(store: DeltaTableStore) -> None:
    sums = ColdSums(store)

    assert sums.verify("bars").first_seen_count == 6
    assert sums.verify("bars").first_seen_count == 0
    store.compact("bars")
    assert sums.verify("bars").first_seen_count == 1
