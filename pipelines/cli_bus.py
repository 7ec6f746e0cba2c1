"""`apiary bus`: publish the log's events, read them as a group, print their schemas."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.bus.messages import Message

app = typer.Typer(help="The log's events for other processes.", no_args_is_help=True)

FollowOption = Annotated[
    bool, typer.Option("--follow", help="Go on until interrupted, looking every --every seconds.")
]
EveryOption = Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05)]


@app.command("relay")
def relay_command(
    follow: FollowOption = False, every: EveryOption = 1.0, config: ConfigOption = None
) -> None:
    """Publish what the log has and the bus has not, in order."""
    with one_line_errors():
        from adapters.bus.messages import relay
        from pipelines.bus import opened_bus

        built = open_workshop(config)
        with opened_bus(built) as bus:

            def publish() -> None:
                count = relay(built.event_log(), bus)
                if count or not follow:
                    console.print(f"{count} events were published", highlight=False)

            _again(publish, every if follow else None)


@app.command("read")
def read_command(
    group: Annotated[str, typer.Argument(help="The group that reads; it goes on where it was.")],
    follow: FollowOption = False,
    every: EveryOption = 1.0,
    config: ConfigOption = None,
) -> None:
    """Print every event that the group has not had yet, a JSON line each, and commit."""
    with one_line_errors():
        from adapters.bus.messages import consume
        from pipelines.bus import opened_bus

        with opened_bus(open_workshop(config)) as bus:
            _again(lambda: consume(bus, group, _print), every if follow else None)


@app.command("schemas")
def schemas_command() -> None:
    """Print the registered JSON Schema of every version of every event."""
    with one_line_errors():
        from adapters.bus.schemas import read_registry

        print(json.dumps(read_registry(), indent=1))


def _print(message: "Message") -> None:
    body = json.loads(message.body)
    print(json.dumps({"sequence": message.sequence, "hash": message.hash, **body}), flush=True)


def _again(act: Callable[[], object], every_s: float | None) -> None:
    """Do it once, or again and again until somebody interrupts."""
    try:
        act()
        while every_s is not None:
            time.sleep(every_s)
            act()
    except KeyboardInterrupt:
        raise typer.Exit from None
