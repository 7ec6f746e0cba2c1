"""`apiary simulate-gateway`: a gateway to try the platform with, without an account anywhere."""

import asyncio
import signal
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from gateway_simulator.control import ControlServer
from gateway_simulator.faults import Fault, script_of
from gateway_simulator.gateway import Gateway
from gateway_simulator.replay import read_bars, replay
from gateway_simulator.settings import GatewaySettings
from pipelines.terminal import tell_error

console = Console(emoji=False, highlight=False)


def simulate_gateway(
    port: Annotated[int, typer.Option(help="Where clients connect; 0 takes a free one.")] = 4002,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    control_port: Annotated[
        int, typer.Option(help="Where faults are set over HTTP, loopback only; 0: a free one.")
    ] = 0,
    account: Annotated[
        list[str] | None, typer.Option(help="An account; may be given more than once.")
    ] = None,
    cash: Annotated[int, typer.Option(help="What each account begins with, in dollars.")] = (
        1_000_000
    ),
    seed: Annotated[int, typer.Option(help="The same seed gives the same prices.")] = 0,
    script: Annotated[
        Path | None, typer.Option(help="Faults and their moments, a YAML or JSON file.")
    ] = None,
    bars: Annotated[
        Path | None, typer.Option(help="A CSV file of bars to follow instead of a random walk.")
    ] = None,
    bar_s: Annotated[
        float, typer.Option(help="How long each of those bars lasts, seconds.", min=0.001)
    ] = 5.0,
    auctions_every_s: Annotated[
        float, typer.Option(help="How often opening and closing auctions are held, seconds.")
    ] = 60.0,
    list_any: Annotated[
        bool, typer.Option(help="List any share that is asked for, not only the known ones.")
    ] = False,
    unsubscribed: Annotated[
        list[str] | None, typer.Option(help="A symbol without live data; more than once.")
    ] = None,
    for_s: Annotated[
        float, typer.Option(help="Stop by itself after so long; 0: never.", min=0)
    ] = 0.0,
    quiet: Annotated[bool, typer.Option(help="Say only where it listens.")] = False,
) -> None:
    """Start a simulated gateway: connect any client of the TWS protocol to it and trade."""
    try:
        settings = GatewaySettings(
            host=host,
            port=port,
            accounts=tuple(account or ("DU1234567",)),
            cash=Decimal(cash),
            seed=seed,
            auctions_every_s=auctions_every_s,
            unlisted_shares=list_any,
            unsubscribed=frozenset(unsubscribed or ()),
        )
        gateway = Gateway(
            settings, script=_read_script(script), report=_say_nothing if quiet else _print_line
        )
        if bars is not None:
            replay(gateway, read_bars(bars), bar_s)
        asyncio.run(_run(gateway, control_port, for_s))
    except (ValueError, TypeError, OSError, yaml.YAMLError) as error:
        tell_error(error)
        raise typer.Exit(1) from error


def _read_script(path: Path | None) -> list[Fault]:
    return [] if path is None else script_of(yaml.safe_load(path.read_text()))


def _print_line(line: str) -> None:
    console.print(escape(line), soft_wrap=True)


def _say_nothing(_: str) -> None:
    """Leave a line unsaid."""


async def _run(gateway: Gateway, control_port: int, for_s: float) -> None:
    control = ControlServer(gateway, control_port)
    await gateway.start()
    await control.start()
    accounts = ", ".join(gateway.settings.accounts)
    console.print(f"gateway on {gateway.settings.host}:{gateway.port}, accounts {accounts}")
    console.print(f"control on http://127.0.0.1:{control.port} (GET /state, POST /fault ...)")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    if for_s:
        loop.call_later(for_s, stopped.set)
    await stopped.wait()
    control.stop()
    await gateway.stop()
