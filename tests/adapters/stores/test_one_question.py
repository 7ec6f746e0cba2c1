"""The same questions, wherever rows lie: before a move, half way, after it, after a restore."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.backups.cold_copies import ColdCopies
from adapters.backups.repository import BackupRepository
from adapters.backups.server_copies import copy_hot, copy_warm, settle_copies
from adapters.stores.cold_places import S3Place
from adapters.stores.content_hash import canonical_order, content_hash
from adapters.stores.hot import EmbeddedHotStore, RedisHotStore
from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.tiers import TierPolicies, TierPolicy
from adapters.stores.warm import WarmStore
from adapters.stores.warm_postgres import PostgresWarmStore
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.adapters.stores.tier_faults import servers

COUNT = 100
AS_OF = START + COUNT * DAY
POLICIES = TierPolicies(TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY))
BORDERS = (AS_OF - 5 * DAY, AS_OF - 40 * DAY)
INSTANT = timedelta(microseconds=1)
Open = Callable[[], TieredTables]


class EndedError(BaseException):
    """The mover is gone at this instruction."""


def spans() -> list[tuple[datetime | None, datetime | None]]:
    """Return spans that begin, end and meet at the borders of the tiers, to the microsecond."""
    found: list[tuple[datetime | None, datetime | None]] = [(None, None)]
    for border in BORDERS:
        for at in (border - DAY, border - INSTANT, border, border + INSTANT, border + DAY):
            found += [(None, at), (at, None), (at, at + DAY), (BORDERS[1], at + 3 * DAY)]
    return found


def answers_of(rows: pl.DataFrame) -> list[object]:
    """Return what the questions must be told, worked out over the rows alone."""
    told: list[object] = []
    for start, end in spans():
        inside = rows
        if start is not None:
            inside = inside.filter(pl.col("event_time") >= start)
        if end is not None:
            inside = inside.filter(pl.col("event_time") < end)
        one = inside.filter(pl.col("instrument_id") == "US.1")
        told += [(inside.height, inside["quantity"].sum()), (one.height, one["quantity"].sum())]
    each = rows.group_by("instrument_id").agg(pl.len(), pl.col("quantity").sum())
    told += [each.sort("instrument_id").rows(), content_hash(canonical_order(rows))]
    for border in BORDERS:
        before = rows.filter(pl.col("event_time") < border)
        told.append((before.height, before["quantity"].sum()))
    return told


def ask(tables: TieredTables) -> list[object]:
    """Ask every question of a catalogue that has looked at nothing yet, by frame and in SQL."""
    catalogue, told = tables.catalogue(), list[object]()
    number, total = pl.len(), pl.col("quantity").sum()
    for span in spans():
        for wanted in (None, "US.1"):
            scan = catalogue.scan("fills", between=span, instrument=wanted)
            told.append(scan.select(number, total).collect().row(0))
    query = "select instrument_id, count(*), sum(quantity) from fills group by 1 order by 1"
    told += [catalogue.sql(query).rows(), content_hash(catalogue.query("fills"))]
    for border in BORDERS:
        moment = f"timestamptz '{border.isoformat()}'"
        query = f"select count(*), sum(quantity) from fills where event_time < {moment}"
        told.append(catalogue.sql(query).row(0))
    return told


@contextmanager
def embedded(folder: Path) -> Iterator[Open]:
    def open_one() -> TieredTables:
        hot = EmbeddedHotStore(folder / "hot" / "hot.db")
        return TieredTables(
            hot, WarmStore(folder / "warm" / "tables"), DeltaTableStore(folder / "cold"), POLICIES
        )

    yield open_one


@contextmanager
def on_servers(folder: Path) -> Iterator[Open]:
    with servers() as running:
        place = S3Place("s3://question/cold", running.s3.access(), locks=folder)

        def open_one() -> TieredTables:
            warm = PostgresWarmStore(PostgresAddress(running.postgres.url), schema="question")
            return TieredTables(
                RedisHotStore(running.redis.url, prefix="question:"),
                warm,
                DeltaTableStore(place),
                POLICIES,
            )

        yield open_one


@pytest.mark.parametrize("opened", [embedded, on_servers], ids=["embedded", "servers"])
def test_one_question_has_one_answer(
    opened: Callable[[Path], AbstractContextManager[Open]], tmp_path: Path
) -> None:
    rows = make_fills(0, COUNT)
    right = answers_of(rows)
    home = tmp_path / "home"
    with opened(home) as open_one:
        for first in range(0, COUNT, 10):
            open_one().write("fills", rows[first : first + 10])
        assert ask(open_one()) == right

        for tier, call in (("hot", "remove"), ("cold", "add"), ("warm", "remove")):
            end_at(open_one(), tier, call)
            assert ask(open_one()) == right, f"half way: {tier}.{call}"

        open_one().demote(AS_OF)
        places = dict(open_one().places().select("tier", "rows").iter_rows())
        assert (set(places), sum(places.values())) == ({"hot", "warm", "cold"}, COUNT)
        assert ask(open_one()) == right

        until = AS_OF + 900 * DAY
        open_one().restore("fills", start=START, end=START + 30 * DAY, until=until)
        assert ask(open_one()) == right
        restored = brought_back(open_one(), home, tmp_path)
    with embedded(restored) as open_again:
        assert ask(open_again()) == right


def end_at(tables: TieredTables, tier: str, call: str) -> None:
    """Let the mover end where a tier is called for the second time."""
    calls: list[object] = []
    store = getattr(tables._tiers, tier)
    done = getattr(store, call)

    def ended(*given: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise EndedError
        return done(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, call, ended)
        with pytest.raises(EndedError):
            tables.demote(AS_OF)


def brought_back(tables: TieredTables, home: Path, folder: Path) -> Path:
    """Back the home up with what lies on servers, and restore it where there are none."""
    home.mkdir(exist_ok=True)
    tiers, remote = tables._tiers, None
    cold = tables._cold.place
    if isinstance(cold, S3Place):
        copy_hot(home, tiers.hot._store)  # pyright: ignore[reportAttributeAccessIssue]
        copy_warm(home, tiers.warm)
        remote = ColdCopies(cold, 2 * 10**18)
    repository = BackupRepository(folder / "backups")
    name = repository.take(home, AS_OF, remote=remote).name
    repository.restore(repository.read(name), folder / "again", finish=settle_copies)
    return folder / "again"
