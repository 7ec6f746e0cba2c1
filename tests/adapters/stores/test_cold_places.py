"""The cold tier on S3-compatible storage: writers on two machines, servers that go away."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from adapters.stores.cold_errors import ColdStoreUnavailableError
from adapters.stores.cold_places import LocalPlace, S3Place
from adapters.stores.s3_access import S3Access
from adapters.stores.tables_delta import DeltaTableStore
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows
from tests.services import S3Process, black_hole, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


def make_store(server: S3Process, name: str, machine: Path) -> DeltaTableStore:
    """Open one storage as a machine of its own would: without the other's lock."""
    access = server.access(timeout_s=3)
    return DeltaTableStore(S3Place(f"s3://cold/{name}", access, locks=machine))


def test_writers_on_two_machines_lose_and_double_nothing(server: S3Process, tmp_path: Path) -> None:
    def write(machine: int) -> None:
        store = make_store(server, "shared", tmp_path / str(machine))
        for day in range(6):  # even days are written by both, odd ones by one each
            shared = day % 2 == 0
            instrument = "US.A" if shared else f"US.{machine}"
            rows = make_rows(float(day), first=NOON + day * DAY, instrument_id=instrument)
            store.append("bars", rows, key=KEY)

    threads = [Thread(target=write, args=(m,)) for m in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    rows = make_store(server, "shared", tmp_path / "third").read("bars")
    assert rows.height == rows.select("instrument_id", "event_time").n_unique() == 3 + 2 * 3


def test_a_server_that_went_away_is_one_line_and_comes_back(
    server: S3Process, tmp_path: Path
) -> None:
    store = make_store(server, "away", tmp_path)
    store.append("bars", make_rows(1.0), key=KEY)
    server.kill()
    try:
        for ask in (
            lambda: store.read("bars"),
            lambda: store.append("bars", make_rows(2.0), key=KEY),
            lambda: store.exists("bars"),
            lambda: store.tables(),
        ):
            with pytest.raises(
                ColdStoreUnavailableError, match=r"^the cold storage failed: [^\n]+$"
            ):
                ask()
    finally:
        server.start()

    assert store.read("bars")["close"].to_list() == [1.0]
    assert store.tables() == ("bars",)


def test_storage_that_never_answers_fails_in_bounded_time(tmp_path: Path) -> None:
    with black_hole() as port:
        access = S3Access(f"http://127.0.0.1:{port}", "key", "secret", timeout_s=0.3)
        store = DeltaTableStore(S3Place("s3://cold/home", access, locks=tmp_path))
        began = time.monotonic()
        with pytest.raises(ColdStoreUnavailableError) as raised:
            store.read("bars")

    assert time.monotonic() - began < 20
    assert "secret" not in str(raised.value)


def test_secrets_are_not_shown() -> None:
    access = S3Access("http://127.0.0.1:1", "the-key", "the-secret")

    assert "the-key" not in repr(access)
    assert "the-secret" not in repr(access)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://bucket", "must be s3://bucket/prefix"),
        ("s3://", "must be s3://bucket/prefix"),
        ("s3://key:honey-and-wax@bucket/cold", "must be named without its keys"),
    ],
)
def test_an_address_that_is_none_is_refused(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as told:
        S3Place(url, S3Access(), locks=tmp_path)
    assert "honey" not in str(told.value)


def test_access_is_bounded() -> None:
    with pytest.raises(ValueError, match="endpoint must be http"):
        S3Access("ftp://somewhere")
    with pytest.raises(ValueError, match="timeout_s must be in"):
        S3Access(timeout_s=0)


@pytest.mark.parametrize("name", ["a[1]", "a|b", "a\\b", "a%20b"])
def test_a_folder_that_delta_would_write_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="must have none of"):
        LocalPlace(tmp_path / name / "cold")


def test_a_folder_that_is_not_there_holds_no_table(tmp_path: Path) -> None:
    assert LocalPlace(tmp_path / "nowhere").tables() == ()
