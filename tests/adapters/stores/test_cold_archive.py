"""Old months in the archive: read where they were, or named; never in neither place."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.backups.repository import BackupRepository
from adapters.stores.archive_media import ClassArchive, FolderArchive
from adapters.stores.cold_archive import ColdArchive
from adapters.stores.cold_errors import (
    ArchiveAwayError,
    ColdArchivedError,
    ColdStoreUnavailableError,
)
from adapters.stores.cold_places import LocalPlace, S3Place
from adapters.stores.cold_upkeep import ColdUpkeep
from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.opening import open_archive
from adapters.stores.s3_access import S3Access
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.tiers import TierPolicies
from adapters.stores.warm import WarmStore
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.frozen_storage import FrozenObjects, frozen_storage
from tests.services import S3Process, s3_server

AGE = timedelta(days=31)
NOW = START + 95 * DAY  # of the 100 days of rows those of January and February are old


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


def make_store(place: Path | S3Place) -> DeltaTableStore:
    store = DeltaTableStore(place)
    store.add("fills", make_fills(0, 100))
    return store


def s3_place(s3: S3Process, name: str, tmp_path: Path, port: int | None = None) -> S3Place:
    endpoint = s3.endpoint if port is None else f"http://127.0.0.1:{port}"
    access = S3Access(endpoint, s3.access_key, s3.secret_key)
    return S3Place(f"s3://archive/{name}", access, locks=tmp_path)


def make_class_archive(
    place: S3Place, storage_class: str = "GLACIER_IR"
) -> tuple[DeltaTableStore, ColdArchive]:
    store = make_store(place)
    medium = ClassArchive(place.objects(), place.prefix, storage_class)
    return store, ColdArchive(store, medium, age=AGE)


def make_folder_archive(tmp_path: Path) -> tuple[DeltaTableStore, ColdArchive]:
    store = make_store(tmp_path / "home" / "cold")
    medium = FolderArchive(tmp_path / "home" / "cold", tmp_path / "medium")
    return store, ColdArchive(store, medium, age=AGE)


@pytest.fixture(params=["folder", "class"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[DeltaTableStore, ColdArchive]:
    if request.param == "folder":
        return make_folder_archive(tmp_path)
    return make_class_archive(s3_place(request.getfixturevalue("s3"), tmp_path.name, tmp_path))


def test_old_months_are_taken_once_and_every_row_is_read_where_it_was(
    kept: tuple[DeltaTableStore, ColdArchive],
) -> None:
    store, archive = kept
    before = store.read("fills")

    (first,) = archive.keep(NOW)
    (again,) = archive.keep(NOW)

    assert (first.taken_count, first.kept_count, first.frozen_count) == (2, 2, 0)
    assert first.kept_bytes > 0
    assert (again.taken_count, again.kept_count) == (0, 2)
    assert store.read("fills").equals(before)
    assert not list(archive.damages())
    store.add("fills", make_fills(100, 5))  # what is written later goes where it always did
    store.compact("fills")
    assert store.read("fills").height == 105


def test_what_is_asked_back_comes_back_and_stays_for_a_while(
    kept: tuple[DeltaTableStore, ColdArchive],
) -> None:
    store, archive = kept
    before = store.read("fills")
    archive.keep(NOW)

    asked = archive.thaw("fills", start=START, end=START + DAY, as_of=NOW, days=10)

    assert (asked.ready_count, asked.waiting_count) == (1, 0)
    assert archive.keep(NOW + 9 * DAY)[0].kept_count == 1
    assert archive.keep(NOW + 11 * DAY)[0].kept_count == 2
    assert store.read("fills").equals(before)


def test_vacuum_takes_the_link_and_the_archive_what_it_led_to(tmp_path: Path) -> None:
    store, archive = make_folder_archive(tmp_path)
    archive.keep(NOW)
    store.rewrite_month("fills", "2024-01")
    ColdUpkeep(store, floor=timedelta(0)).vacuum("fills", [], retention=timedelta(0))

    (report,) = archive.keep(NOW)

    assert (report.taken_count, report.kept_count, report.swept_count) == (1, 2, 1)
    assert store.read("fills").height == 100


@pytest.fixture
def frozen(s3: S3Process) -> Iterator[tuple[int, FrozenObjects]]:
    with frozen_storage(s3.port) as front:
        yield front


def test_what_must_be_thawed_is_named_in_one_line_until_it_was(
    s3: S3Process, frozen: tuple[int, FrozenObjects], tmp_path: Path
) -> None:
    port, objects = frozen
    store, archive = make_class_archive(s3_place(s3, "frozen", tmp_path, port), "GLACIER")
    hot, warm = EmbeddedHotStore(tmp_path / "hot.db"), WarmStore(tmp_path / "warm")
    rows = TieredTables(hot, warm, store, TierPolicies())
    before = store.read("fills")
    (report,) = archive.keep(NOW)
    assert (report.kept_count, report.frozen_count) == (2, 2)
    assert set(objects.classes.values()) == {"GLACIER"}

    for ask in (
        lambda: store.read("fills"),
        lambda: rows.query("fills"),
        lambda: rows.restore("fills", start=START, end=START + DAY, until=NOW),
    ):
        with pytest.raises(ColdArchivedError, match=r"restored first: `apiary tiers thaw") as told:
            ask()
        assert len(str(told.value).splitlines()) == 1
    with pytest.raises(ValueError, match="restored first"):
        rows.catalogue().sql("select count(*) from fills")
    after = START + 95 * DAY  # what was not archived is read as ever
    assert rows.query("fills", start=after).height == 5
    assert rows.places().filter(table="fills", tier="cold")["rows"].to_list() == [100]
    assert not rows.damages()
    store.compact("fills")

    waits = 0
    while archive.thaw("fills", start=START, end=START + 100 * DAY, as_of=NOW).waiting_count:
        waits += 1
    assert waits
    assert not objects.classes
    assert store.read("fills").equals(before)


def test_a_wrong_key_is_not_taken_for_an_archive(s3: S3Process, tmp_path: Path) -> None:
    place = s3_place(s3, "key", tmp_path)
    make_class_archive(place)
    wrong = S3Place(
        "s3://archive/key", type(s3.access())(s3.endpoint, "who", "what"), locks=tmp_path
    )

    for ask in (
        lambda: list(wrong.objects().list("key/")),
        lambda: wrong.read_bytes("fills/_delta_log/00000000000000000000.json"),
    ):
        with pytest.raises(ColdStoreUnavailableError) as told:
            ask()
        assert not isinstance(told.value, ColdArchivedError)
        assert "what" not in str(told.value)


def test_a_medium_that_is_away_or_has_lost_a_file_is_told(tmp_path: Path) -> None:
    store, archive = make_folder_archive(tmp_path)
    archive.keep(NOW)
    (tmp_path / "medium").rename(tmp_path / "elsewhere")

    with pytest.raises(ArchiveAwayError, match=r"lies in the archive at .*which is not there"):
        store.read("fills")
    assert len(list(archive.damages())) == 2
    with pytest.raises(OSError, match="must lead to a file to be backed up"):
        BackupRepository(tmp_path / "backups").take(tmp_path / "home", NOW)

    (tmp_path / "elsewhere").rename(tmp_path / "medium")
    assert store.read("fills").height == 100
    assert not list(archive.damages())


def test_a_byte_that_changed_in_the_archive_is_found(tmp_path: Path) -> None:
    _, archive = make_folder_archive(tmp_path)
    archive.keep(NOW)
    victim = next((tmp_path / "medium").rglob("*.parquet"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)

    (damage,) = archive.damages()

    assert damage.name.endswith(victim.name)


def test_a_backup_holds_what_lies_in_the_archive(tmp_path: Path) -> None:
    store, archive = make_folder_archive(tmp_path)
    before = store.read("fills")
    archive.keep(NOW)
    repository = BackupRepository(tmp_path / "backups")
    repository.take(tmp_path / "home", NOW)
    shutil.rmtree(tmp_path / "home")
    shutil.rmtree(tmp_path / "medium")

    manifest = repository.find_at(None)
    assert manifest is not None
    repository.restore(manifest, tmp_path / "again")

    assert DeltaTableStore(tmp_path / "again" / "cold").read("fills").equals(before)


def test_killed_at_every_step_a_file_is_in_its_place_or_in_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, archive = make_folder_archive(tmp_path)
    before = store.read("fills")
    steps = 0

    class Killed(BaseException):
        pass

    for name in ("replace", "symlink_to", "unlink", "mkdir"):
        real = getattr(Path, name)

        def dying(path: Path, *args: object, real: object = real, **more: object) -> object:
            nonlocal steps
            steps += 1
            if steps % 7 == 0:
                raise Killed
            return real(path, *args, **more)  # type: ignore[operator]  # a method of Path

        monkeypatch.setattr(Path, name, dying)
    for turn in range(30):
        with suppress(Killed):
            if turn % 2:
                archive.thaw("fills", start=START, end=NOW, as_of=NOW - 8 * DAY)
            else:
                archive.keep(NOW)
    monkeypatch.undo()

    assert store.read("fills").equals(before)
    archive.keep(NOW)
    assert store.read("fills").equals(before)
    assert not list(archive.damages())
    assert steps > 100


def test_a_class_belongs_to_s3_and_a_folder_to_a_folder(s3: S3Process, tmp_path: Path) -> None:
    local = DeltaTableStore(LocalPlace(tmp_path / "cold"))
    remote = DeltaTableStore(s3_place(s3, "opening", tmp_path))

    assert open_archive(local, storage_class=None, folder=None, age=AGE) is None
    for store, storage_class, folder in (
        (local, "GLACIER", None),
        (remote, None, tmp_path / "medium"),
        (local, "GLACIER", tmp_path / "medium"),
    ):
        with pytest.raises(ValueError, match="the archive must be a storage_class where"):
            open_archive(store, storage_class=storage_class, folder=folder, age=AGE)
    with pytest.raises(ValueError, match="must lie outside the cold tier"):
        open_archive(local, storage_class=None, folder=tmp_path / "cold" / "old", age=AGE)
