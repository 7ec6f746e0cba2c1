"""A cold tier on S3 is backed up with its home, and comes back on this machine or on S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.backups.cold_copies import ColdCopies, load_cold
from adapters.backups.repository import BackupRepository
from adapters.stores.cold_places import LocalPlace, S3Place
from adapters.stores.content_hash import content_hash
from adapters.stores.s3_access import S3Access
from adapters.stores.tables_delta import DeltaTableStore
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config, settings_for_files
from tests.adapters.backups.test_rolling import MINUTE, append, at_minute, events_of
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows
from tests.frozen_storage import frozen_storage
from tests.services import S3Process, s3_server

NOW_NS = round(NOON.timestamp()) * 10**9 + 10**18  # long after anything was written
LATER = NOON + 1000 * DAY


@pytest.fixture(scope="module")
def server() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


@pytest.fixture
def place(server: S3Process, tmp_path: Path) -> S3Place:
    return S3Place(f"s3://{tmp_path.name.replace('_', '-')}/cold", server.access(), locks=tmp_path)


def write(store: DeltaTableStore, first: int, count: int) -> None:
    for day in range(first, first + count):
        store.append("bars", make_rows(float(day), first=NOON + day * 20 * DAY), key=KEY)


def versions(store: DeltaTableStore, table: str = "bars") -> list[str]:
    """Return the content hash of every version of a table."""
    last = store.version(table)
    return [content_hash(store.read(table, version=v)) for v in range(last + 1)]


def restored(repository: BackupRepository, target: Path) -> DeltaTableStore:
    manifest = repository.find_at(None)
    assert manifest is not None
    repository.restore(manifest, target)
    return DeltaTableStore(LocalPlace(target / "copies" / "cold"))


def test_drill_every_version_comes_back_here_and_on_an_empty_server(
    server: S3Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = {"ENDPOINT": server.endpoint, "ACCESS_KEY": server.access_key}
    for name, value in (access | {"SECRET_KEY": server.secret_key}).items():
        monkeypatch.setenv(f"APIARY_S3_{name}", value)
    monkeypatch.setenv("APIARY_CONFIG", "")

    def opened(home: str, url: str) -> Any:
        monkeypatch.setenv("APIARY_COLD_URL", url)
        monkeypatch.setattr(resources, "_workshops", {})
        choose_config(settings_for_files(tmp_path, None, tmp_path / home, base=None))
        return resources.workshop().get("tables")

    def apiary(*words: str) -> str:
        told = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert told.exit_code == 0, told.output
        return " ".join(told.output.split())

    store = opened("home", "s3://drill/first")
    write(store, 0, 3)
    store.compact("bars")
    before = versions(store)
    backups, again = tmp_path / "backups", tmp_path / "again"
    assert "not within" not in apiary("backup", str(backups))

    assert "the cold tier lay on a server" in apiary("restore", str(backups), "--to", str(again))
    assert versions(opened("again", "")) == before
    assert not (again / "copies").exists()

    loaded = opened("again", "s3://drill/second")
    assert "0 were there whole" in apiary("load-servers")
    assert " 0 files were added" in " " + apiary("load-servers")
    assert versions(loaded) == before
    write(loaded, 7, 1)  # and it is a table that grows
    assert len(versions(loaded)) == len(before) + 1


def test_a_second_backup_fetches_only_what_is_new(
    place: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, home = DeltaTableStore(place), tmp_path / "home"
    home.mkdir()
    repository = BackupRepository(tmp_path / "backups")
    write(store, 0, 3)
    repository.take(home, NOON, remote=ColdCopies(place, NOW_NS))
    write(store, 3, 1)
    before = versions(store)
    fetched: list[str] = []
    stream = S3Place.stream
    monkeypatch.setattr(
        S3Place, "stream", lambda self, path: (fetched.append(path), stream(self, path))[1]
    )

    repository.take(home, LATER, remote=ColdCopies(place, NOW_NS))

    monkeypatch.undo()
    assert len(fetched) == 4  # a file and its commit, and the sums of both
    assert versions(restored(repository, tmp_path / "again")) == before


def test_a_table_is_as_of_its_pin_whoever_writes_meanwhile(place: S3Place, tmp_path: Path) -> None:
    store, home = DeltaTableStore(place), tmp_path / "home"
    home.mkdir()
    write(store, 0, 2)
    before = versions(store)

    class Meanwhile(S3Place):
        """Somebody commits between the pin and the list of files."""

        def objects_below(self, table: str) -> tuple[tuple[str, int, int], ...]:
            write(store, 5, 1)
            return super().objects_below(table)

    seen = Meanwhile(str(place), place._access, locks=tmp_path)
    copies = ColdCopies(seen, NOW_NS)
    repository = BackupRepository(tmp_path / "backups")

    repository.take(home, NOON, remote=copies)

    assert copies.notes()["cold_versions"] == {"bars": len(before) - 1}
    assert versions(restored(repository, tmp_path / "again")) == before
    assert len(versions(store)) > len(before)


def test_a_file_that_is_damaged_on_the_way_back_is_written_anew(
    place: S3Place, tmp_path: Path
) -> None:
    local = DeltaTableStore(LocalPlace(tmp_path / "cold"))
    write(local, 0, 3)
    written = load_cold(tmp_path / "cold", place)[1]
    store = DeltaTableStore(place)
    assert versions(store) == versions(local)
    damaged = next(n for n, _, _ in place.objects_below("bars") if n.endswith(".parquet"))
    place.write_bytes(damaged, place.read_bytes(damaged)[:-1] + b"?")

    assert load_cold(tmp_path / "cold", place) == (written - 1, 1)
    assert versions(store) == versions(local)


def test_a_load_that_was_killed_goes_on(
    place: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = DeltaTableStore(LocalPlace(tmp_path / "cold"))
    write(local, 0, 3)
    put, done = S3Place.write_file, list[str]()

    def killed(self: S3Place, path: str, source: Path) -> None:
        if len(done) == 10:  # three files, all sums and the first commit
            raise KeyboardInterrupt
        done.append(path)
        put(self, path, source)

    monkeypatch.setattr(S3Place, "write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        load_cold(tmp_path / "cold", place)
    monkeypatch.undo()
    assert versions(DeltaTableStore(place)) == versions(local)[:1]  # its first commit is there

    assert load_cold(tmp_path / "cold", place) == (10, 2)
    assert versions(DeltaTableStore(place)) == versions(local)


def test_a_table_of_other_commits_is_not_written_to(place: S3Place, tmp_path: Path) -> None:
    local = DeltaTableStore(LocalPlace(tmp_path / "cold"))
    write(local, 0, 2)
    store = DeltaTableStore(place)
    write(store, 0, 2)
    before = place.objects_below("bars")

    with pytest.raises(ValueError, match="must be a beginning of the home's table") as told:
        load_cold(tmp_path / "cold", place)

    assert len(str(told.value).splitlines()) == 1
    assert place.objects_below("bars") == before


def test_what_must_be_thawed_is_kept_from_before_or_told(server: S3Process, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    early, late = (BackupRepository(tmp_path / name) for name in ("early", "late"))
    with frozen_storage(server.port) as (port, _):
        access = server.access()
        seen = S3Access(f"http://127.0.0.1:{port}", access.access_key, access.secret_key)
        place = S3Place("s3://thaw/cold", seen, locks=tmp_path)
        store = DeltaTableStore(place)
        write(store, 0, 3)
        before = versions(store)
        early.take(home, NOON, remote=ColdCopies(place, NOW_NS))
        data = next(o for o in place.objects().list("cold/bars/_month") if o.size)
        place.objects().change_class(data, "GLACIER")
        copies = ColdCopies(place, NOW_NS)

        early.take(home, LATER, remote=copies)
        assert copies.notes()["cold_left_out"] == []
        assert versions(restored(early, tmp_path / "again")) == before
        late.take(home, LATER, remote=copies)

    assert copies.notes()["cold_left_out"] == [data.key.removeprefix("cold/")]


def test_a_moment_between_backups_has_no_version_of_later(place: S3Place, tmp_path: Path) -> None:
    store, home = DeltaTableStore(place), tmp_path / "home"
    repository = BackupRepository(tmp_path / "backups")
    for last in (10, 20):
        append(home, last - 9, last, at_minute)
        write(store, last, 1)
        repository.take(home, at_minute(last) + MINUTE / 2, remote=ColdCopies(place, NOW_NS))
    moment = (at_minute(14) + MINUTE / 4).strftime("%Y-%m-%dT%H:%M:%S")
    to = tmp_path / "again"
    words = ["restore", str(repository.root), "--to", str(to), "--at", moment]

    told = CliRunner().invoke(app, words, catch_exceptions=False)

    assert told.exit_code == 0, told.output
    assert len(events_of(to)) == 14
    # its commits are made by the machine's clock, long after the moment that is asked for
    assert versions(DeltaTableStore(LocalPlace(to / "cold"))) == versions(store)[:-1]
    assert not (to / "copies").exists()
