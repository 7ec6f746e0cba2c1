"""What files held is kept for the next process, and never taken for what they hold now."""

import contextlib
import multiprocessing
import os
import random
import zipfile
from pathlib import Path

import polars as pl
import pytest

from adapters.sources import files, kept_frames, like_files
from adapters.sources.batches import in_batches
from adapters.sources.file_digests import FileDigests
from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.kept_frames import KeptFrames
from adapters.sources.mapping import Mapping
from tests.adapters.sources.test_inference import EVER
from tests.adapters.sources.test_many_files import NAMES, mapping, write_folder

FEW = NAMES[:24]
DAYS = [f"2020-02-{day:02}" for day in range(3, 29) if day % 7 not in (1, 2) and day != 17]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "in", FEW)


@pytest.fixture
def kept(tmp_path: Path) -> KeptFrames:
    return KeptFrames(tmp_path / "kept")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, table by table."""
    names: list[str] = []
    opened = files.contents
    monkeypatch.setattr(files, "in_batches", lambda found: in_batches(found, rows_max=70))
    monkeypatch.setattr(
        files, "contents", lambda path, whole: names.append(path.name) or opened(path, whole)
    )
    return names


def told(source: FileSource) -> tuple[object, ...]:
    """Everything that a source says of its folder."""
    frames = [source.fetch(table, *EVER) for table in source.tables]
    return (
        *(frame.rows() for frame in (*frames, source.rejected(), source.instruments())),
        source.left_out(),
    )


def check_alike(folder: Path, kept: KeptFrames, by: Mapping | None = None) -> None:
    """A new process with what was kept must say what one says that knows of nothing."""
    by = by or mapping()
    found, fresh = told(FileSource(folder, by, kept=kept)), told(FileSource(folder, by))
    for part, expected in zip(found, fresh, strict=True):
        assert part == expected


def test_a_later_process_reads_no_file_that_holds_what_it_held(folder, kept, read) -> None:
    first = told(FileSource(folder, mapping(), kept=kept))
    assert len(read) == 2 * len(FEW)  # by two tables
    read.clear()
    for path in folder.iterdir():
        path.touch()  # another time, the same content
    assert told(FileSource(folder, mapping(), kept=kept)) == first
    assert read == []


def test_only_what_changed_came_or_went_is_read_again(folder, kept, read) -> None:
    told(FileSource(folder, mapping(), kept=kept))
    changed = folder / f"{FEW[9]}.csv"
    changed.write_text(changed.read_text() + "2020-01-13,77,77,1\n")
    (folder / f"{FEW[10]}.csv").unlink()
    (folder / "NEWX.csv").write_text("Date,Close,Adj Close,Extra\n2020-01-13,5,5,6\n")
    read.clear()
    told(FileSource(folder, mapping(), kept=kept))
    assert sorted(read) == sorted(2 * ["NEWX.csv", changed.name])
    check_alike(folder, kept)


def test_content_that_changed_behind_its_stamps_is_seen(folder, kept) -> None:
    """The same size and the same time of change, as a copy that keeps times leaves them."""
    told(FileSource(folder, mapping(), kept=kept))
    path = folder / f"{FEW[3]}.csv"
    before = path.stat()
    text = path.read_text()
    path.write_text(text.replace("13.0", "99.0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    check_alike(folder, kept)
    assert 99.0 in FileSource(folder, mapping(), kept=kept).fetch("bars", *EVER)["close"].to_list()


def test_a_file_that_is_written_twice_within_a_tick_is_read_twice(tmp_path, monkeypatch) -> None:
    """No stamp tells the second writing; a file at rest is not read again."""
    path = tmp_path / "a.csv"
    path.write_text("1")
    told_of = path.stat()
    at = {"ns": max(told_of.st_mtime_ns, told_of.st_ctime_ns) + 1_000_000}
    frozen = (1, 7, told_of.st_mtime_ns, told_of.st_ctime_ns)
    monkeypatch.setattr("adapters.sources.file_digests._stamps_of", lambda _: frozen)
    digests = FileDigests(lambda: at["ns"])
    first = digests.of(path)
    path.write_text("2")
    second = digests.of(path)
    assert second != first
    at["ns"] += 3_000_000_000
    assert digests.of(path) == second  # now its stamps can be trusted
    monkeypatch.setattr("adapters.sources.file_digests.sha256_of", lambda _: "read again")
    assert digests.of(path) == second
    monkeypatch.setattr("adapters.sources.file_digests._stamps_of", lambda _: (*frozen[:3], 9))
    assert digests.of(path) == "read again"


def test_a_source_in_use_sees_a_file_written_again_at_once(folder) -> None:
    source = FileSource(folder, mapping())
    source.fetch("bars", *EVER)
    path = folder / f"{FEW[3]}.csv"
    before = path.stat()
    path.write_text(path.read_text().replace("13.0", "99.0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert 99.0 in source.fetch("bars", *EVER)["close"].to_list()


def test_another_mapping_takes_nothing_of_what_the_former_read(folder, kept, read) -> None:
    told(FileSource(folder, mapping(), kept=kept))
    read.clear()
    table = mapping().tables[0]
    pence = Mapping(name="many", tables=(
        files.replace(table, columns={
            **table.columns, "close": files.replace(table.columns["close"], scale=0.01)
        }),
    ))  # fmt: skip
    check_alike(folder, kept, pence)
    assert FEW[0] + ".csv" in read
    check_alike(folder, kept)


def test_code_that_reads_otherwise_reads_anew(folder, kept, read, monkeypatch) -> None:
    told(FileSource(folder, mapping(), kept=kept))
    read.clear()
    monkeypatch.setattr(kept_frames, "made_by", lambda: "the next release")
    told(FileSource(folder, mapping(), kept=kept))
    assert len(read) == 2 * len(FEW)


def test_an_archive_goes_with_all_its_members(tmp_path, kept) -> None:
    """Members of two layouts lie in two batches; a change of one reads both again."""
    folder = tmp_path / "in"
    folder.mkdir()

    def pack(close: str) -> None:
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            archive.writestr("AAX.csv", f"Date,Close,Adj Close\n2020-01-13,{close},1\n")
            archive.writestr("BBX.csv", "Date,Close,Adj Close,Volume\n2020-01-13,5,5,6\n")

    (folder / "CCX.csv").write_text("Date,Close,Adj Close\n2020-01-13,5,5\n")
    table = files.replace(mapping().tables[0], files=("*.csv", "*.zip"))
    by = Mapping(name="many", tables=(table,))
    pack("4")
    check_alike(folder, kept, by)
    pack("6")
    check_alike(folder, kept, by)
    check_alike(folder, kept, by)


@pytest.mark.parametrize("damage", ["cut", "other", "gone", "note", "all"])
def test_what_was_kept_by_halves_is_read_from_the_files(folder, kept, tmp_path, damage) -> None:
    told(FileSource(folder, mapping(), kept=kept))
    (tmp_path / "kept" / "stray").mkdir()
    frames = sorted((tmp_path / "kept").glob("*/*.rows"))
    notes = sorted((tmp_path / "kept").glob("*/contents.json"))
    assert frames
    assert notes
    match damage:
        case "cut":
            frames[0].write_bytes(frames[0].read_bytes()[:-20])
        case "other":
            frames[0].write_bytes(frames[-1].read_bytes())
        case "gone":
            frames[0].unlink()
        case "note":
            notes[0].write_bytes(notes[0].read_bytes().replace(b"height", b"heighT", 1))
        case "all":
            for path in (*frames, *notes):
                path.unlink()
    check_alike(folder, kept)
    check_alike(folder, kept)  # and what was mended is whole


@pytest.mark.parametrize("steps", range(8))
def test_a_writer_that_dies_at_any_step_leaves_what_is_true(
    folder, kept, monkeypatch, steps: int
) -> None:
    told(FileSource(folder, mapping(), kept=kept))
    changed = folder / f"{FEW[9]}.csv"
    changed.write_text(changed.read_text() + "2020-01-13,77,77,1\n")
    left = {"steps": steps}
    put_in_place = os.replace

    def dying(*paths) -> None:
        left["steps"] -= 1
        if left["steps"] < 0:
            raise KeyboardInterrupt
        put_in_place(*paths)

    with monkeypatch.context() as dies:
        dies.setattr(kept_frames.os, "replace", dying)
        with contextlib.suppress(KeyboardInterrupt):  # the last steps are past the end
            told(FileSource(folder, mapping(), kept=kept))
    check_alike(folder, kept)


def test_what_cannot_be_kept_is_read_all_the_same(folder, tmp_path, caplog) -> None:
    (tmp_path / "kept").write_text("no folder")
    check_alike(folder, KeptFrames(tmp_path / "kept"))
    assert "not kept for the next run" in caplog.text


def test_the_room_is_bounded_and_the_newest_stays(tmp_path) -> None:
    sizes = 3 * 40_000
    store = KeptFrames(tmp_path / "kept", bytes_max=sizes)
    frame = pl.DataFrame({"x": random.Random(1).sample(range(10**9), 4_000)})
    for number in range(6):
        store.shelf(number).put({"number": number}, {f"frame{number}": frame})
        store.shelf(0).read()  # in use, if it is there
    held = [number for number in range(6) if store.shelf(number).read() is not None]
    assert 5 in held
    assert 0 in held
    assert 1 not in held
    total = sum(p.stat().st_size for p in (tmp_path / "kept").rglob("*") if p.is_file())
    assert total <= sizes
    tiny = KeptFrames(tmp_path / "kept", bytes_max=10)
    tiny.shelf("large").put({}, {"large": frame})
    assert tiny.shelf("large").read() is None


def test_many_small_changes_leave_few_files(folder, kept, tmp_path) -> None:
    """A file a day, one changed a day: what lies there is bounded by what is true."""
    by = mapping()
    for day in range(40):
        (folder / f"N{day:02}X.csv").write_text(f"Date,Close,Adj Close\n2020-01-13,{day + 1},1\n")
        changed = folder / f"{FEW[day % len(FEW)]}.csv"
        changed.write_text(changed.read_text() + f"2020-02-{day % 28 + 1:02},77,77,1\n")
        FileSource(folder, by, kept=kept).fetch("bars", *EVER)
    check_alike(folder, kept, by)
    assert len(list((tmp_path / "kept").glob("*/*.rows"))) < 50


@pytest.mark.parametrize("seed", range(3))
def test_any_history_of_changes_ends_in_what_a_fresh_look_says(
    folder, kept, read, seed: int
) -> None:
    chance = random.Random(seed)
    source = FileSource(folder, mapping(), kept=kept)
    for _ in range(12):
        paths = sorted(folder.iterdir())
        for path in chance.sample(paths, min(3, len(paths))):
            match chance.randrange(4):
                case 0:
                    path.unlink()
                case 1:
                    path.rename(folder / f"{chance.randrange(1000)}X.csv")
                case 2:
                    path.write_text(path.read_text() + f"{chance.choice(DAYS)},9,9,1,2\n")
                case _:
                    day = chance.choice(DAYS)
                    new = folder / f"Q{chance.randrange(9)}X.csv"
                    new.write_text(f"Date,Close,Adj Close\n{day},{chance.randrange(1, 9)},1\n")
        if chance.random() < 0.5:
            source = FileSource(folder, mapping(), kept=kept)
        assert told(source) == told(FileSource(folder, mapping()))


def _read_often(folder: Path, kept_in: Path, times: int) -> None:
    for number in range(times):
        path = folder / f"{FEW[number % 5]}.csv"
        path.write_text(path.read_text() + f"{DAYS[number % len(DAYS)]},{number + 1},1,1\n")
        told(FileSource(folder, mapping(), kept=KeptFrames(kept_in)))


def test_processes_that_keep_at_once_do_not_harm_each_other(folder, kept, tmp_path) -> None:
    spawn = multiprocessing.get_context("spawn")
    others = [
        spawn.Process(target=_read_often, args=(folder, tmp_path / "kept", 8)) for _ in range(2)
    ]
    for other in others:
        other.start()
    while any(other.is_alive() for other in others):
        told(FileSource(folder, mapping(), kept=kept))
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    check_alike(folder, kept)


def test_a_folder_is_looked_at_again_only_where_it_changed(tmp_path, kept, monkeypatch) -> None:
    """Wide files, quotes, two clocks, epochs and archives: the mapping is that of a fresh look."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("AAPL", "MSFT", "IBM"):
        rows = "\n".join(f"{day},1.25,2,1,1.5,900" for day in DAYS)
        (folder / f"{name}.csv").write_text(f"Date,Open,High,Low,Close,Volume\n{rows}\n")
    wide = "\n".join(f"{day};1,5;2,5;3,5" for day in DAYS)
    (folder / "wide.csv").write_text(f"Date;KO;PEP;GE\n{wide}\n")
    clock = "\n".join(f"{day},09:30,1.25,1.26" for day in DAYS)
    (folder / "F.csv").write_text(f"Date,Time,Bid,Ask\n{clock}\n")
    pl.DataFrame({"date": pl.Series(DAYS).str.to_date(), "close": 5.0}).write_parquet(
        folder / "GE.parquet"
    )
    with zipfile.ZipFile(folder / "T.zip", "w") as archive:
        archive.writestr("T.csv", f"Date,Close\n{DAYS[0]},1.5\n{DAYS[1]},1.5\n")
    (folder / "README.txt").write_text("words about the data\n")
    opened: list[str] = []
    look = like_files.open_file
    monkeypatch.setattr(
        like_files, "open_file",
        lambda relative, *more: opened.append(relative) or look(relative, *more),
    )  # fmt: skip
    hints = Hints(zone="America/New_York", quotes="mid")
    fresh = infer_mapping(folder, hints)
    assert infer_mapping(folder, hints, kept=kept) == fresh
    opened.clear()
    assert infer_mapping(folder, hints, kept=kept) == fresh
    assert opened == ["README.txt"]  # it told nothing that could be kept
    (folder / "IBM.csv").write_text((folder / "IBM.csv").read_text().replace(",1.5,", ",1.555,"))
    opened.clear()
    changed = infer_mapping(folder, hints, kept=kept)
    assert opened == ["IBM.csv", "README.txt"]
    assert changed == infer_mapping(folder, hints)
    assert changed != fresh
