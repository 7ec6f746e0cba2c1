"""Encrypted cold tables: no value on disk, no file in another's place, owners kept apart."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from adapters.secrets.key_file import KeyFile
from adapters.secrets.references import SecretError
from adapters.stores.cold_keys import ColdKeys
from adapters.stores.cold_places import LocalPlace
from adapters.stores.cold_sums import ColdSums
from adapters.stores.envelope import Sealer, SealError, is_sealed
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.tables_delta import DeltaTableStore
from tests.adapters.stores.test_tables_delta import KEY, make_rows

SECRET_NAME = "US.VERY-SECRET-HOLDING"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A key file with the keys of two owners."""
    file = KeyFile(tmp_path / "keys" / "keys.json")
    for owner in ("desk-a", "desk-b"):
        file.ensure_owner(owner)
    return file


def sealed_store(root: Path, keys: KeyFile, owner: str = "desk-a") -> DeltaTableStore:
    """Return a store that reads and writes sealed files alone."""
    return DeltaTableStore(SealedPlace(LocalPlace(root), Sealer(owner, keys), only_sealed=True))


def _keys_of(store: DeltaTableStore) -> ColdKeys:
    assert isinstance(store.place, SealedPlace)
    return ColdKeys(store, store.place)


def _parts(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


def test_no_value_is_on_disk_in_the_open(tmp_path: Path, keys: KeyFile) -> None:
    """Neither in a data file nor, as a minimum or maximum, in the log."""
    rows = make_rows(1.0, 2.0, 123456.789, instrument_id=SECRET_NAME)
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", rows, key=KEY)
    assert store.read("bars").equals(rows)
    for path in (tmp_path / "cold").rglob("*"):
        if path.is_file():
            assert SECRET_NAME.encode() not in path.read_bytes()
            assert b"123456.789" not in path.read_bytes()
    assert all(is_sealed(p.read_bytes()) for p in _parts(tmp_path / "cold"))
    assert store.size("bars")[0] == 3


def test_another_owner_cannot_read_what_lies_beside(tmp_path: Path, keys: KeyFile) -> None:
    sealed_store(tmp_path / "cold", keys).append("bars", make_rows(1.0), key=KEY)
    with pytest.raises(SealError, match="must be sealed for desk-b, is for desk-a"):
        sealed_store(tmp_path / "cold", keys, "desk-b").read("bars")


def test_a_changed_byte_is_found(tmp_path: Path, keys: KeyFile) -> None:
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0, 2.0), key=KEY)
    (part,) = _parts(tmp_path / "cold")
    whole = part.read_bytes()
    for place in (len(whole) - 1, len(whole) // 2 + 600, 1_030):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1
        part.write_bytes(bytes(spoiled))
        with pytest.raises(SealError, match="was changed or moved"):
            store.read("bars")
        assert store.unreadable("bars")
    part.write_bytes(whole)
    assert not store.unreadable("bars")


def test_a_file_in_anothers_place_is_found(tmp_path: Path, keys: KeyFile) -> None:
    """Both are this owner's and whole; but the one is not the other."""
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0), key=KEY)
    store.append("more", make_rows(2.0), key=KEY)
    first, second = _parts(tmp_path / "cold")
    shutil.copyfile(second, first)
    with pytest.raises(SealError, match="was changed or moved"):
        store.read("bars")


def test_after_a_rotation_old_files_are_read_and_can_be_wrapped_anew(
    tmp_path: Path, keys: KeyFile
) -> None:
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0, 2.0), key=KEY)
    before = {p: p.stat().st_size for p in _parts(tmp_path / "cold")}
    keys.rotate("desk-a")
    fresh = sealed_store(tmp_path / "cold", keys)
    assert fresh.read("bars").height == 2
    assert _keys_of(fresh).rewrap_all() == len(before)
    assert {p: p.stat().st_size for p in _parts(tmp_path / "cold")} == before
    assert all(b"file:v2:" in p.read_bytes()[:1024] for p in before)
    assert sealed_store(tmp_path / "cold", keys).read("bars").height == 2
    fresh.append("bars", make_rows(1.0, 2.0, 3.0), key=KEY)
    assert fresh.read("bars").height == 3


def test_without_the_owners_key_nothing_can_be_read(tmp_path: Path, keys: KeyFile) -> None:
    """Who destroys a key has destroyed what it sealed, wherever copies of it lie."""
    sealed_store(tmp_path / "cold", keys).append("bars", make_rows(1.0), key=KEY)
    with pytest.raises(SecretError, match="must have a key of desk-a, has none"):
        sealed_store(tmp_path / "cold", KeyFile(tmp_path / "none.json")).read("bars")
    stranger = KeyFile(tmp_path / "stranger.json")
    stranger.ensure_owner("desk-a")
    with pytest.raises(SecretError, match="must hold the key of desk-a that sealed this"):
        sealed_store(tmp_path / "cold", stranger).read("bars")


def test_what_was_plain_is_read_until_it_is_sealed(tmp_path: Path, keys: KeyFile) -> None:
    """Encryption is switched on over tables that are there: sealed month by month, same rows."""
    rows = make_rows(*map(float, range(60)))
    plain = DeltaTableStore(tmp_path / "cold")
    plain.append("bars", rows, key=KEY)
    version = plain.version("bars")
    with pytest.raises(SealError, match="must be sealed, is not"):
        sealed_store(tmp_path / "cold", keys).read("bars")
    place = SealedPlace(LocalPlace(tmp_path / "cold"), Sealer("desk-a", keys))
    mixed = DeltaTableStore(place)
    assert mixed.read("bars").equals(rows)
    assert ColdKeys(mixed, place).seal_all() == 3
    assert ColdKeys(mixed, place).seal_all() == 0
    assert sealed_store(tmp_path / "cold", keys).read("bars").equals(rows)
    assert mixed.read("bars", version=version).equals(rows)


def test_a_new_column_comes_with_a_new_version(tmp_path: Path, keys: KeyFile) -> None:
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0), key=KEY)
    wider = make_rows(1.0, 5.0).with_columns(volume=pl.lit(7.0))
    store.append("bars", wider.tail(1), key=KEY)
    assert store.read("bars")["volume"].to_list() == [None, 7.0]


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, keys: KeyFile) -> None:
    path = tmp_path / "keys" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(SecretError, match="must be 0600, was 0644"):
        keys.wrap("desk-a", b"k" * 32)


@pytest.mark.parametrize("owner", ["", "a\nb", "x" * 101])
def test_an_owner_must_have_a_name(owner: str, keys: KeyFile) -> None:
    with pytest.raises(ValueError, match="owner must be printable text"):
        Sealer(owner, keys)


def test_keys_are_rotated_where_a_killed_rotation_left_a_file_half_written(
    tmp_path: Path, keys: KeyFile
) -> None:
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0, 2.0), key=KEY)
    (file,) = _parts(tmp_path / "cold")
    file.with_suffix(".part").write_bytes(file.read_bytes()[:700])
    keys.rotate("desk-a")

    assert _keys_of(sealed_store(tmp_path / "cold", keys)).rewrap_all() == 1
    assert b"file:v2:" in file.read_bytes()[:1024]


def test_a_disk_that_is_full_is_named_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, write = LocalPlace(tmp_path / "cold"), Path.write_bytes

    def write_half(path: Path, content: bytes) -> int:
        write(path, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)

    with pytest.raises(OSError, match=r"cold/bars/a\.parquet must be writable: No space left"):
        place.write_bytes("bars/a.parquet", b"rows")
    assert place.file_names("bars") == ()
    assert not list((tmp_path / "cold").rglob("*.part"))


def test_a_rotation_of_keys_is_no_damage(tmp_path: Path, keys: KeyFile) -> None:
    store = sealed_store(tmp_path / "cold", keys)
    store.append("bars", make_rows(1.0, 2.0), key=KEY)
    assert ColdSums(store).verify("bars").damages == ()
    keys.rotate("desk-a")
    rotated = sealed_store(tmp_path / "cold", keys)
    assert _keys_of(rotated).rewrap_all() == 1

    assert ColdSums(rotated).verify("bars").damages == ()


@pytest.mark.parametrize("place", [3, 60, 200, -1, 2_000])
def test_a_sealed_file_that_was_never_looked_at_is_named_where_it_was_changed(
    tmp_path: Path, keys: KeyFile, place: int
) -> None:
    sealed_store(tmp_path / "cold", keys).append("bars", make_rows(1.0, 2.0), key=KEY)
    (file,) = _parts(tmp_path / "cold")
    whole = bytearray(file.read_bytes())
    whole[place] ^= 1
    file.write_bytes(whole)

    store = sealed_store(tmp_path / "cold", keys)
    (damage,) = ColdSums(store).verify("bars").damages
    assert damage.name.endswith(file.name)
    with pytest.raises((SealError, SecretError), match=file.name):
        store.read("bars")
