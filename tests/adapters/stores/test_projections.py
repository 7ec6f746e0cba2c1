"""Tables out of the log: they agree with the book, and the export carries the chain."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.event_log_export import export
from adapters.stores.event_log_memory import MemoryEventLog
from adapters.stores.projections import SCHEMAS, Projector, project, write_tables
from swarm_core import events as ev
from swarm_core.event_chain import check_chain
from swarm_core.instruments import to_minor
from swarm_core.trading import book_from_events
from tests.simulation.world import World, play
from tests.swarm_core.builders import CASH, A, B, make_fill, make_order


@pytest.fixture(scope="module")
def world() -> World:
    """A session with many fills, denials and blocked decisions."""
    return play(3)


def test_the_tables_agree_with_the_book(world: World) -> None:
    # What the trader's book has retired from memory, the log still holds.
    book = book_from_events(world.watch.read(), "USD", CASH, keeps_all=True)
    tables = project(world.watch.read(), "USD", CASH)

    assert {n: list(t.columns) for n, t in tables.items()} == {
        n: list(s) for n, s in SCHEMAS.items()
    }
    orders, fills, positions = tables["orders"], tables["fills"], tables["positions"]
    assert orders["client_order_id"].to_list() == list(book.orders)
    assert set(fills["execution_id"]) == set(book.ledger.executions)
    charged = book.ledger.commissions  # some of fills that are not ours, and not adopted
    assert fills["commission_minor"].sum() == sum(
        minor for i, minor in charged.items() if i in book.ledger.executions
    )
    assert dict(positions.select("instrument_id", "lots").rows()) == {
        i: p.lots for i, p in book.ledger.positions.items()
    }
    signed = pl.when(pl.col("side") == "buy").then(1).otherwise(-1) * pl.col("lots")
    summed = fills.group_by("instrument_id").agg(signed.sum().alias("lots"))
    assert dict(summed.rows()) == {i: p.lots for i, p in book.ledger.positions.items()}


def test_exposure_and_cash_are_the_net_asset_value(world: World) -> None:
    exposure = project(world.watch.read(), "USD", CASH)["exposure"]

    assert (exposure["net_minor"] + exposure["cash_minor"]).sum() == (
        world.watch.book.ledger.find_nav_minor()
    )


def test_profits_of_closed_sessions_are_what_the_value_changed_by(world: World) -> None:
    pnl = project(world.watch.read(), "USD", CASH)["pnl"].filter(
        pl.col("nav_close_minor").is_not_null()
    )

    assert pnl.height
    assert pnl.select(
        (pl.col("profit_minor") + pl.col("moved_in_minor") + pl.col("nav_open_minor"))
        == pl.col("nav_close_minor")
    ).to_series().all()  # fmt: skip


def test_a_projection_at_any_point_is_that_of_the_log_up_to_there(world: World) -> None:
    projector = Projector("USD", CASH)
    records = list(world.watch.read())
    for record in records[: len(records) // 2]:
        projector.take(record)
    half = projector.tables()
    for record in records[len(records) // 2 :]:
        projector.take(record)

    assert half["fills"].height < projector.tables()["fills"].height
    for name, table in project(records, "USD", CASH).items():
        assert projector.tables()[name].equals(table)


def test_written_tables_are_read_back_the_same(world: World, tmp_path: Path) -> None:
    tables = project(world.watch.read(), "USD", CASH)

    for path in write_tables(tables, tmp_path):
        assert pl.read_parquet(path).equals(tables[path.stem])


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_the_chain_can_be_checked_from_an_export_alone(
    world: World, tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"log.{ending}"
    count = export(world.watch.log.rows(), path)
    if ending == "parquet":
        rows = pl.read_parquet(path).to_dicts()
    elif ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))

    report = check_chain(
        (int(row["sequence"]), row["event"].encode(), bytes.fromhex(row["hash"])) for row in rows
    )

    assert report == world.watch.log.verify()
    assert count == report.checked_count
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", ["edited", "missing", "swapped"])
def test_records_that_are_not_sound_are_not_exported(
    world: World, tmp_path: Path, kind: str
) -> None:
    rows = list(world.watch.log.rows())
    first, second = rows[5], rows[6]
    if kind == "edited":
        rows[5] = (first[0], first[1].replace(b'"', b"'", 1), first[2])
    elif kind == "missing":
        del rows[5]
    else:
        rows[5:7] = [(first[0], *second[1:]), (second[0], *first[1:])]

    with pytest.raises(ValueError, match=r"record [67] must follow from its bytes"):
        export(rows, tmp_path / "log.jsonl")

    assert not list(tmp_path.iterdir())


def test_a_part_of_a_log_is_checked_from_the_record_before_it(world: World, tmp_path: Path) -> None:
    rows = list(world.watch.log.rows())

    assert export(rows[5:9], tmp_path / "log.jsonl", rows[4][2]) == 4
    with pytest.raises(ValueError, match="record 6 must follow"):
        export(rows[5:9], tmp_path / "log.jsonl", rows[3][2])


def test_an_export_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must end in one of"):
        export([], tmp_path / "log.xlsx")


def test_a_place_that_cannot_be_written_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").mkdir()  # stands in its way
    with pytest.raises(OSError, match=r"orders\.parquet must be writable"):
        write_tables(project(world.watch.read(), "USD", CASH), tmp_path)
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(OSError, match=r"log\.jsonl must be writable"):
        export([], tmp_path / "log.jsonl")


def test_what_a_person_moves_is_no_profit_and_a_fill_has_its_corrected_lots() -> None:
    """Cash and lots of the owner are told apart from what was earned; a fee is not."""
    order = make_order(lots=10)
    done = make_fill(order)
    common = {"currency": "USD", "actor": "anna", "reason": "moved"}
    lots = {"instrument_id": B, "lots": 5, "price_ticks": 9_000, "lot_tick_minor": 10**6}
    value = 5 * 9_000 * 10**6
    opened = {"session": "2024-01-02", "base_currency": "USD", "nav_minor": to_minor(CASH)}
    log = MemoryEventLog()
    log.append(
        [
            ev.SessionOpened(event_id="o", time_ns=1, **opened),
            ev.OrderIntended(event_id="i", time_ns=1, order=order),
            done,
            ev.ExecutionCorrected(
                event_id="c",
                time_ns=2,
                execution_id=done.execution_id,
                revision=2,
                lots=4,
                price_ticks=done.price_ticks,
            ),
            ev.TransferBooked(event_id="a", time_ns=3, amount_minor=70, is_capital=True, **common),
            ev.TransferBooked(event_id="b", time_ns=3, amount_minor=-9, is_capital=False, **common),
            ev.TransferBooked(
                event_id="d", time_ns=3, amount_minor=0, is_capital=True, **common, **lots
            ),
        ]
    )
    tables = project(log.read(), "USD", CASH)
    assert tables["fills"]["lots"].to_list() == [4]
    assert tables["pnl"]["moved_in_minor"].to_list() == [70 + value]
    assert dict(tables["positions"].select("instrument_id", "lots").rows()) == {A: 4, B: 5}
