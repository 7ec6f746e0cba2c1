"""`apiary trade`, `halt` and `resume`: trade a book, stop it, and lift the stop.

Nothing here imports Dagster: the trader and its switches work where it is down or not there.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors

if TYPE_CHECKING:
    from pipelines.settings import ApiarySettings
    from trader.kill_switch import Halt

app = typer.Typer()


def settings_of(config: Path | None) -> "ApiarySettings":
    """Return the settings, with the market that a first run found; they are this process's."""
    from pipelines.chosen_market import find_market, with_market
    from pipelines.settings import choose_config, read_settings

    choose_config(config)
    settings = read_settings()
    home = None if settings.trade is None else settings.trade.tables_home
    return with_market(settings, find_market(home or settings.home))


@app.command("trade")
def trade_command(
    config: ConfigOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Tell only what stops or frees trading, and the end.")
    ] = False,
) -> None:
    """Trade a book in one long-lived process: feed, engine, gate, broker; TERM leaves."""
    with one_line_errors():
        from pipelines.trading_process import trade
        from trader.teller import Teller

        teller = Teller(typer.echo)
        try:
            summary = trade(settings_of(config), teller.tell, quiet=quiet)
        finally:
            teller.close()
        console.print(summary, highlight=False, soft_wrap=True)


@app.command("halt")
def halt_command(
    reason: Annotated[str, typer.Option(help="Why; it stands in the log.")],
    by: Annotated[str, typer.Option(help="Who halts; it stands in the log.")] = "operator",
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close what is held as well, through the gate.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Stop trading: cancel every unexecuted order; only `apiary resume` lifts it."""
    with one_line_errors():
        from trader.kill_switch import Halt

        halt = Halt(reason=reason, actor=by, flatten=flatten)
        for line in stop(settings_of(config), halt):
            console.print(line, highlight=False, soft_wrap=True)


@app.command("resume")
def resume_command(
    by: Annotated[str, typer.Option(help="The person who lifts the halt.")],
    reason: Annotated[str, typer.Option(help="Why trading may go on.")],
    config: ConfigOption = None,
) -> None:
    """Lift a halt, by name and with a reason; both stand in the log."""
    with one_line_errors():
        from pipelines.trading_parts import offline_desk

        with offline_desk(settings_of(config)) as desk:
            desk.resume(by=by, reason=reason)
        console.print(f"trading goes on, by {by}: {reason}", highlight=False)


def stop(settings: "ApiarySettings", halt: "Halt") -> list[str]:
    """Pull the switch of the home, and do what it means where no trader is there to do it.

    The file comes first: it stops every process of the home, whatever else is down. Where it cannot
    be written, the trader is told over HTTP; OSError where nobody has heard of the halt.
    """
    from trader.lock import BookLockedError
    from trader.opening import lock_of, switch_of

    unwritten = switch_of(settings.home).pull(halt)
    lines = [unwritten or f"the kill switch is pulled: {settings.home / 'control' / 'halt.json'}"]
    on_record = False
    try:
        with lock_of(settings.home, "apiary halt"):
            # First: a trader of another home that shares the log halts while the broker, whose
            # client it is, is waited for here.
            on_record = _note_halt(settings, halt)
            return lines + _stop_here(settings, halt)
    except BookLockedError as error:
        if unwritten:
            return [*lines, _stop_over_http(settings, halt, unwritten)]
        return [*lines, f"its holder acts on it: {error}"]
    except OSError as error:
        said = str(error) or "the broker does not answer"
        on_record = on_record or _note_halt(settings, halt)
        if unwritten and not on_record:
            raise OSError(f"orders must be cancelled at the broker by hand: {unwritten}") from error
        by_hand = f"the orders must be cancelled at the broker by hand: {said}"
        if on_record:
            lines.append("the halt is in the log: a trader of another home that shares it obeys")
            by_hand = f"where none does, {by_hand}"
        return [*lines, by_hand]


def _note_halt(settings: "ApiarySettings", halt: "Halt") -> bool:
    """Put a halt in the log of a home; return whether it is there."""
    from pipelines.desk_log import open_event_log
    from trader.clocks import wall_ns
    from trader.opening import note_halt

    try:
        note_halt(halt, open_event_log(settings), settings.base_currency, wall_ns)
    except (OSError, ValueError):
        return False  # the file, where it could be written, halts all the same
    return True


def _stop_over_http(settings: "ApiarySettings", halt: "Halt", unwritten: str) -> str:
    from pipelines.trader_calls import ask_trader

    body = {"reason": halt.reason, "actor": halt.actor, "flatten": halt.flatten}
    try:
        ask_trader(settings, "/halt", body)
    except (OSError, ValueError) as error:
        raise OSError(
            f"the trader must be stopped by its signals or at the broker: {unwritten}; {error}"
        ) from error
    return "the trader was told over HTTP, and halts"


def _stop_here(settings: "ApiarySettings", halt: "Halt") -> list[str]:
    from pipelines.trading_parts import reached_desk

    with reached_desk(settings) as desk:
        report = desk.halt(halt)
    return [f"{report.cancelled_count} orders were cancelled", *report.failures]


def trader_lines(settings: "ApiarySettings") -> list[str]:
    """Return how the trader of a home stands, as its heartbeat and its lock say."""
    from trader.clocks import wall_ns
    from trader.heartbeat import find_heartbeat, heartbeat_path
    from trader.opening import is_taken, switch_of

    told = find_heartbeat(heartbeat_path(settings.home))
    halt = switch_of(settings.home).find()
    lines = [] if halt is None else [f"the kill switch is pulled: {halt.reason}, by {halt.actor}"]
    if told is None:
        return [*lines, "no trader has run here"]
    age_s = (wall_ns() - int(told.get("time_ns", 0))) / 1e9
    holder = is_taken(settings.home)
    if told.get("ended"):
        life = "has left"
    elif not holder:
        life = "has died without leaving"
    else:
        life = f"lives: process {told.get('process')}"
    stands = ", ".join(f"{name} {told.get(name)}" for name in ("feed", "engine", "broker", "state"))
    held = f"; held back: {told['held_back']}" if told.get("held_back") else ""
    beat = f"last beat {age_s:.1f} s ago"
    orders = f"{told.get('working_orders')} orders working"
    stand = f"the trader {life}, {beat}: {stands}, {orders}{held}"
    bare = [f"{name} is held without exits" for name in told.get("unprotected", ())]
    bare += map(str, told.get("out_of_reach", ()))
    off = [
        f"{n} {more}" for part in (told.get("differs") or {}).values() for n, more in part.items()
    ]
    if off:
        bare.insert(
            0, f"the account has more than the book: {', '.join(off)} (apiary account show)"
        )
    return [*lines, stand, *bare, *map(str, told.get("ends", ()))]
