"""A cold file that is not what was written is named by the read that needs it."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from adapters.stores.catalogue_sql import answer
from adapters.stores.cold_errors import ColdDamagedError
from adapters.stores.cold_places import S3Place
from adapters.stores.cold_sums import ColdSums
from adapters.stores.cold_upkeep import ColdUpkeep
from adapters.stores.hot_embedded import EmbeddedHotStore
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers_catalogue import Catalogue
from adapters.stores.warm import WarmStore
from tests.services import S3Process, s3_server

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
EACH, COUNT = 4_000, 60  # rows of an instrument, instruments


def make_ticks(seed: int = 1) -> pl.DataFrame:
    """Return rows of one month, in some thirty row groups of several blocks."""
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(COUNT), EACH)
    moments = [FIRST + timedelta(minutes=n) for n in range(EACH)]
    return pl.DataFrame(
        {
            "instrument_id": [f"US.T{n:02d}" for n in numbers],
            "event_time": moments * COUNT,
            "knowledge_time": moments * COUNT,
            "price": rng.normal(100, 5, EACH * COUNT),
            "size": rng.integers(1, 2**40, EACH * COUNT),
        }
    )


def stored(root: Path, seed: int = 1) -> DeltaTableStore:
    store = DeltaTableStore(root)
    store.add("ticks", make_ticks(seed))
    return store


def catalogue_of(root: Path) -> Catalogue:
    """Return a catalogue that has looked at nothing yet."""
    other = root.parent
    keys = {"ticks": ["instrument_id", "event_time"]}
    cold = DeltaTableStore(root)
    return Catalogue(EmbeddedHotStore(other / "hot.db"), WarmStore(other / "warm"), cold, keys=keys)


def the_file(root: Path) -> Path:
    (found,) = root.glob("ticks/_month=*/*.parquet")
    return found


def flip(file: Path, at: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        (byte,) = opened.read(1)
        opened.seek(at)
        opened.write(bytes([byte ^ 0x10]))


def test_a_flipped_byte_anywhere_is_named_by_a_read_of_everything(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    stored(root)
    file = the_file(root)
    size = file.stat().st_size
    rng = np.random.default_rng(6)
    places = [0, 3, 4, size - 1, size - 5, size - 200, *rng.integers(0, size, 24).tolist()]
    for at in places:
        flip(file, at)
        with pytest.raises(ColdDamagedError, match=file.name):
            catalogue_of(root).scan("ticks").collect()
        flip(file, at)
    assert catalogue_of(root).scan("ticks").collect().height == EACH * COUNT


def cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 70_000)


def swap(file: Path) -> None:
    other = file.parents[3] / "other"
    stored(other, seed=2)
    the_file(other).replace(file)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [cut_off, swap, empty, Path.unlink], ids=lambda h: h.__name__)
def test_a_file_cut_swapped_emptied_or_gone_is_named(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    root = tmp_path / "cold"
    stored(root)
    used = catalogue_of(root)
    assert used.scan("ticks", instrument="US.T07").collect().height == EACH
    file = the_file(root)
    harm(file)
    questions: list[Callable[[Catalogue], object]] = [
        lambda c: c.scan("ticks", instrument="US.T07").collect(),
        lambda c: c.query("ticks", columns=["price"]),
        lambda c: c.sql("select sum(size) from ticks where instrument_id = 'US.T03'"),
    ]
    for ask in questions:
        for asked in (
            used,
            catalogue_of(root),
        ):  # one that has read it before, and one that has not
            with pytest.raises((ColdDamagedError, FileNotFoundError, ValueError), match=file.name):
                ask(asked)
    with pytest.raises((ColdDamagedError, FileNotFoundError), match=file.name):
        DeltaTableStore(root).read("ticks")
    (found,) = ColdSums(DeltaTableStore(root)).verify("ticks").damages
    assert found.name.endswith(file.name)


def test_a_flip_between_two_reads_is_seen_by_the_second(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    stored(root)
    used = catalogue_of(root)
    rows = used.scan("ticks", instrument="US.T07").collect()
    spans = pl.scan_parquet(the_file(root)).with_row_index().collect()
    at = spans.filter(pl.col("instrument_id") == "US.T07")["index"][0] / spans.height
    flip(the_file(root), int(at * the_file(root).stat().st_size))

    with pytest.raises(ColdDamagedError, match="must be as it was written"):
        used.scan("ticks", instrument="US.T07").collect()
    assert rows.height == EACH


def test_what_a_question_does_not_need_is_not_compared(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    stored(root)
    expected = catalogue_of(root).scan("ticks", instrument="US.T00").collect()
    flip(the_file(root), int(0.8 * the_file(root).stat().st_size))

    found = catalogue_of(root)
    assert_frame_equal(found.scan("ticks", instrument="US.T00").collect(), expected)
    asked = "select count(*) n from ticks where instrument_id = 'US.T00'"
    assert found.sql(asked)["n"].item() == EACH
    with pytest.raises(ColdDamagedError):
        found.scan("ticks").collect()


def test_files_from_before_there_were_notes_get_them_at_the_next_look(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    store = stored(root)
    for note in root.rglob("_blocks/_month*/*.json"):
        note.unlink()
    assert catalogue_of(root).scan("ticks").collect().height == EACH * COUNT

    assert ColdSums(store).verify("ticks").damages == ()
    flip(the_file(root), 100_000)

    with pytest.raises(ColdDamagedError, match=the_file(root).name):
        catalogue_of(root).scan("ticks").collect()


def test_a_broken_note_is_named_and_an_empty_one_is_none(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    stored(root)
    (note,) = root.rglob("_blocks/_month*/*.json")
    note.write_bytes(b'{"size": ')
    with pytest.raises(ColdDamagedError, match="must hold the sums"):
        catalogue_of(root).scan("ticks").collect()
    note.write_bytes(b"")
    assert catalogue_of(root).scan("ticks").collect().height == EACH * COUNT


def test_upkeep_leaves_the_notes_of_what_it_keeps(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    store = stored(root)
    store.add("ticks", make_ticks(3).head(10))
    upkeep = ColdUpkeep(store, floor=timedelta(0))
    upkeep.keep_table("ticks", (), retention=timedelta(0), files_min=2)

    (note,) = root.rglob("_blocks/_month*/*.json")
    assert the_file(root).name in note.name


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Process]:
    with s3_server() as process:
        yield process


def test_an_object_that_was_put_anew_or_is_gone_is_named(s3: S3Process, tmp_path: Path) -> None:
    place = S3Place(f"s3://cold/{tmp_path.name}", s3.access(), locks=tmp_path)
    store = DeltaTableStore(place)
    store.add("ticks", make_ticks())
    url = store.open("ticks").file_uris()[-1]
    path = urlsplit(url).path.removeprefix(f"/{tmp_path.name}/")
    plain = place.read_bytes(path)
    changed = bytearray(plain)
    changed[150_000] ^= 1

    time.sleep(1.1)  # the times of objects are whole seconds
    place.write_bytes(path, bytes(changed))
    name = path.rpartition("/")[2]
    for asked in (store, DeltaTableStore(place)):
        with pytest.raises(ColdDamagedError, match=name):
            asked.scan("ticks", instrument_ids=["US.T59"]).collect()
    place.write_bytes(path, plain)  # the same bytes in another object are as good
    assert DeltaTableStore(place).scan("ticks").collect().height == EACH * COUNT
    place.files().delete_file(f"cold/{tmp_path.name}/{path}")
    with pytest.raises(FileNotFoundError, match=name):
        DeltaTableStore(place).scan("ticks").collect()


def test_a_commit_on_s3_that_was_put_anew_is_named_by_whoever_opens_the_table(
    s3: S3Process, tmp_path: Path
) -> None:
    place = S3Place(f"s3://cold/{tmp_path.name}", s3.access(), locks=tmp_path)
    store = DeltaTableStore(place)
    store.add("ticks", make_ticks().head(10))
    store.add("ticks", make_ticks())
    path = "ticks/_delta_log/00000000000000000002.json"
    plain = place.read_bytes(path)

    time.sleep(1.1)  # the times of objects are whole seconds
    place.write_bytes(path, plain.replace(b'"add"', b'"Add"'))
    for ask in (lambda s: s.scan("ticks"), lambda s: s.read("ticks")):
        with pytest.raises(ColdDamagedError, match=r"00000000000000000002\.json must be as it was"):
            ask(DeltaTableStore(place))
    place.write_bytes(path, plain)
    assert DeltaTableStore(place).read("ticks").height == EACH * COUNT


def test_an_object_put_anew_in_its_second_and_size_is_named_by_a_look_at_everything(
    s3: S3Process, tmp_path: Path
) -> None:
    place = S3Place(f"s3://cold/{tmp_path.name}", s3.access(), locks=tmp_path)
    store = DeltaTableStore(place)
    store.add("ticks", make_ticks().head(100))
    data = next(n for n, _, _ in place.objects_below("ticks") if n.endswith(".parquet"))
    for name in (data, f"ticks/_delta_log/{1:020d}.json"):
        plain = place.read_bytes(name)
        changed = bytearray(plain)
        changed[len(plain) // 2] ^= 1
        place.write_bytes(name, bytes(changed))
        found = ColdSums(DeltaTableStore(place)).verify("ticks").damages
        assert [d.name for d in found] == [name.removeprefix("ticks/")]
        place.write_bytes(name, plain)
    assert ColdSums(DeltaTableStore(place)).verify("ticks").damages == ()


def test_a_damaged_file_is_one_line_of_sql(tmp_path: Path) -> None:
    root = tmp_path / "cold"
    store = stored(root)
    flip(the_file(root), 50_000)
    with pytest.raises(ValueError, match=the_file(root).name) as told:
        answer("select sum(price) from ticks", {"ticks": store.scan("ticks")})
    assert str(told.value).startswith("ticks/")  # without the way that it came
