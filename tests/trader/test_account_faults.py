"""What the broker's account says against trading, and when the trader asks it."""

import asyncio
from pathlib import Path

from swarm_core import events as ev
from tests.swarm_core.builders import make_decision, make_fill
from tests.trader.desks import make_desk
from tests.trader.drills import Drill
from trader.kill_switch import Halt


def test_a_halt_that_is_lifted_is_held_against_the_account_before_anything_leaves(
    tmp_path: Path,
) -> None:
    """What halted may still differ: it had traded on until reconciliation was due again."""
    drill = Drill(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        drill.desk.switch.pull(Halt(reason="a drill", actor="anna"))
        await drill.until(lambda: drill.is_halted)
        drill.venue.path.write_text("")  # the account holds nothing any more
        make_desk(tmp_path, drill.venue).resume(by="anna", reason="looked")
        await drill.until(lambda: "position_differs" in str(drill.desk.switch.find()))
        await drill.until(lambda: drill.is_halted)
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_an_order_that_fills_more_than_it_was_for_halts_once(tmp_path: Path) -> None:
    """Heard as it happened it stood in the book, agreed with the account, and nobody was told."""
    drill = Drill(tmp_path)
    told = list[ev.Event]()
    hear, drill.venue.heard = drill.venue.heard, lambda: [*hear(), *told]  # type: ignore[method-assign]
    drill.desk.listen = drill.venue.heard

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        (order,) = drill.venue.orders().values()
        told.append(make_fill(order, lots=5, number=9))
        await drill.until(lambda: drill.is_halted)
        assert "must fill 1000 lots at most, did 1005" in str(drill.desk.switch.find())
        drill.desk.resume(by="anna", reason="kept")
        await drill.rest()
        assert not drill.desk.switch.is_pulled or "did 1005" not in str(drill.desk.switch.find())
        drill.desk.switch.pull(Halt(reason="the end", actor="anna"))
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))


def test_what_a_process_that_died_has_not_halted_for_halts_at_the_next_start(
    tmp_path: Path,
) -> None:
    """It was killed between an overfill and its halt; what a person has seen halts no more."""
    first = Drill(tmp_path)
    first.desk.release(make_decision("d1", A=0.1))
    first.desk.take_in(first.venue.heard())
    (order,) = first.venue.orders().values()
    first.desk.take_in([make_fill(order, lots=5, number=9)])
    assert first.lots == 1_005

    def start() -> Drill:
        drill = Drill(tmp_path)
        drill.trader.account.look_at_fills()
        drill.trader.account.look_at_fills()
        return drill

    halted = start()
    assert "must fill 1000 lots at most, did 1005" in str(halted.desk.switch.find())
    halted.desk.halt(Halt(reason="overfilled", actor="trader", by_person=False))
    halted.desk.resume(by="anna", reason="kept")
    assert not start().desk.switch.is_pulled


def test_a_broker_that_gives_up_halts_and_says_why(tmp_path: Path) -> None:
    drill = Drill(tmp_path)

    async def play() -> None:
        task = asyncio.create_task(drill.trader.run())
        await drill.until(lambda: drill.lots == 1_000)
        drill.venue.refusal = "account must stay DU1, was U7"
        drill.venue.is_connected = False
        await drill.until(lambda: drill.is_halted)
        assert "account must stay DU1, was U7" in str(drill.desk.switch.find())
        await drill.end(task)

    asyncio.run(asyncio.wait_for(play(), 60))
