"""A byte that turned, anywhere in a tier: the read names it or is right, and `verify` names it."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from adapters.stores.cold_errors import ColdDamagedError, ColdStoreUnavailableError
from adapters.stores.cold_places import LocalPlace
from adapters.stores.cold_sums import ColdSums
from adapters.stores.segments import TierCorruptionError
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiers import TierPolicy, Tiers
from tests.adapters.stores.test_tiers import DAY, START, make_fills, make_tiers

COUNT = 150  # fills, one a day
DOWN = {
    "hot": None,
    "warm": TierPolicy(hot_age=DAY, warm_age=9_000 * DAY),
    "cold": TierPolicy(hot_age=DAY, warm_age=2 * DAY),
}
FILES = {
    "hot": "hot.sqlite",
    "warm": "warm/fills/*.parquet",
    "cold": "cold/fills/_month=*/*.parquet",
    "commits": "cold/fills/_delta_log/*.json",
}


def filled(root: Path, tier: str) -> Tiers:
    tiers = make_tiers(root)
    tiers.hot.write("fills", make_fills(0, COUNT))
    policy = DOWN.get(tier, DOWN["cold"])
    if policy is not None:
        tiers.demote(START + 900 * DAY, policy)
    with closing(sqlite3.connect(root / "hot.sqlite")) as hot:
        hot.execute("pragma wal_checkpoint(truncate)")
    return tiers


def ask(root: Path) -> list[pl.DataFrame]:
    """Ask what a person would: everything, a span, an instrument, sums."""
    catalogue = make_tiers(root).catalogue()
    span = (START + 20 * DAY, START + 80 * DAY)
    return [
        catalogue.query("fills"),
        catalogue.scan("fills", between=span).select("fill_id").sort("fill_id").collect(),
        catalogue.scan("fills").filter(pl.col("quantity") > 50).select(pl.len()).collect(),
        catalogue.sql("select sum(quantity) s from fills where instrument_id = 'US.1'"),
    ]


def ask_or_be_told(root: Path) -> tuple[list[pl.DataFrame], str]:
    try:
        return ask(root), ""
    except (TierCorruptionError, FileNotFoundError) as error:
        return [], str(error)


def damages(root: Path) -> list[str]:
    """Return what `apiary tiers verify` names."""
    tiers = make_tiers(root)
    sums = ColdSums(DeltaTableStore(root / "cold"))
    cold = [d for report in sums.verify_all() for d in report.damages]
    return [d.name for d in (*tiers.damages(), *cold)]


@pytest.mark.parametrize("tier", FILES)
def test_a_turned_bit_is_named_or_changes_nothing(tmp_path: Path, tier: str) -> None:
    filled(tmp_path, tier)
    right, rng, named = ask(tmp_path), random.Random(tier), 0
    files = sorted(tmp_path.glob(FILES[tier]))
    assert files
    for _ in range(25):
        file = rng.choice(files)
        whole = file.read_bytes()
        at = rng.randrange(len(whole))
        turned = whole[at] ^ 1 << rng.randrange(8)
        file.write_bytes(whole[:at] + bytes([turned]) + whole[at + 1 :])
        found, said = ask_or_be_told(tmp_path)
        if found:
            assert all(a.equals(b) for a, b in zip(found, right, strict=True)), f"{file} at {at}"
        else:
            assert "fills" in said
            assert damages(tmp_path), f"{file.name} at {at} must be named"
            named += 1
        file.write_bytes(whole)
    assert named > 5
    assert damages(tmp_path) == []


@pytest.mark.parametrize("tier", ["hot", "warm", "cold"])
def test_what_turns_under_a_catalogue_that_has_answered_is_named(tmp_path: Path, tier: str) -> None:
    """What it remembers of a tier holds only as long as nothing has changed there."""
    catalogue = filled(tmp_path, tier).catalogue()
    assert catalogue.scan("fills").collect().height == COUNT
    if tier == "hot":
        with closing(sqlite3.connect(tmp_path / "hot.sqlite")) as hand, hand:
            ((key, value),) = hand.execute("SELECT key, value FROM cells LIMIT 1").fetchall()
            turned = value[:-40] + bytes([value[-40] ^ 1]) + value[-39:]
            hand.execute("UPDATE cells SET value = ? WHERE key = ?", (turned, key))
    else:
        file = sorted(tmp_path.glob(FILES[tier]))[0]
        whole = file.read_bytes()
        file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])

    with pytest.raises(TierCorruptionError, match="fills"):
        catalogue.scan("fills").collect()


def test_a_changed_bound_of_a_commit_hides_no_rows(tmp_path: Path) -> None:
    """Bounds decide which files are opened: a false one is silent where nobody compares it."""
    filled(tmp_path, "cold")
    commit = sorted(tmp_path.glob(FILES["commits"]))[2]
    told = commit.read_text()
    commit.write_text(told.replace("2024-03-", "2024-02-"))
    assert commit.read_text() != told

    with pytest.raises(ColdDamagedError, match=commit.name):
        make_tiers(tmp_path).catalogue().scan("fills").collect()
    assert damages(tmp_path) == [f"_delta_log/{commit.name}"]


def test_a_checkpoint_that_was_changed_is_named(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path / "cold")
    for number in range(101):
        store.add("ticks", make_fills(number, 1))
    (checkpoint,) = tmp_path.rglob("*.checkpoint.parquet")
    whole = checkpoint.read_bytes()
    for at in (4, len(whole) // 2, len(whole) - 9):
        checkpoint.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ColdDamagedError, match=checkpoint.name):
            DeltaTableStore(tmp_path / "cold").read("ticks")
    checkpoint.write_bytes(whole)
    assert DeltaTableStore(tmp_path / "cold").read("ticks").height == 101


def test_a_commit_that_is_gone_is_named_also_behind_a_checkpoint(tmp_path: Path) -> None:
    """The newest version needs it no more, but older ones do, which may be pinned."""
    filled(tmp_path, "cold")
    DeltaTable(tmp_path / "cold" / "fills").create_checkpoint()
    first, *_ = sorted(tmp_path.glob(FILES["commits"]))
    first.unlink()

    assert damages(tmp_path) == [f"_delta_log/{first.name}"]


def cut_rows(file: Path) -> None:
    pl.read_parquet(file).head(-1).write_parquet(file)


def move_a_bound(file: Path) -> None:
    earlier = pl.col("event_time") - timedelta(hours=1)
    pl.read_parquet(file).with_columns(earlier).write_parquet(file)


@pytest.mark.parametrize("harm", [cut_rows, move_a_bound], ids=lambda h: h.__name__)
def test_a_file_from_before_there_were_sums_gets_none_where_its_commit_tells_otherwise(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    filled(tmp_path, "cold")
    for note in (tmp_path / "cold").rglob("_blocks/**/*.json"):
        note.unlink()
    file = sorted(tmp_path.glob(FILES["cold"]))[1]
    size = file.stat().st_size
    harm(file)
    with file.open("ab") as opened:  # of the size that it had
        opened.truncate(size)

    assert [n.endswith(file.name) for n in damages(tmp_path)] == [True]
    assert not list((tmp_path / "cold").rglob(f"_blocks/**/{file.name}.json"))


def test_a_table_whose_log_cannot_be_read_is_no_table_that_is_not_there(tmp_path: Path) -> None:
    """Rows would be written a second time if a table with a damaged log seemed to be none."""
    filled(tmp_path, "cold")
    for note in (tmp_path / "cold").rglob("_blocks/_delta_log/*.json"):
        note.unlink()
    commit = sorted(tmp_path.glob(FILES["commits"]))[0]
    commit.write_text(commit.read_text().replace('"add"', '"add'))

    with pytest.raises(ColdDamagedError, match=commit.name) as told:
        make_tiers(tmp_path).catalogue().scan("fills")
    assert "\n" not in str(told.value)


def test_a_write_that_does_not_fit_is_one_line_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ColdStoreUnavailableError, match="MB free to write these rows") as told:
        LocalPlace(tmp_path).require_room(10**18)
    assert "\n" not in str(told.value)


def test_a_proven_file_is_proven_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiers = filled(tmp_path, "warm")
    tiers.catalogue().scan("fills").collect()
    reads: list[object] = []
    monkeypatch.setattr(pl, "read_parquet", lambda *given, **_: reads.append(given))

    assert tiers.catalogue().scan("fills").collect().height == COUNT
    assert reads == []
