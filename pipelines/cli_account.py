"""`apiary account`: what the broker's account and the book differ by, and a person's word on it."""

from collections.abc import Iterable, Mapping
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_limits import By, Reason
from pipelines.cli_trader import settings_of
from pipelines.terminal import ConfigOption, console, one_line_errors

if TYPE_CHECKING:
    from pipelines.settings import ApiarySettings
    from trader.account_settling import AccountClaim

_OUTCOME_S = 20.0
NOT_SETTLED = "is not settled"

app = typer.Typer(help="The broker's account, held against the book.", no_args_is_help=True)


@app.command("show")
def show(config: ConfigOption = None) -> None:
    """Show what the account and the book differ by, and the command that settles it.

    Of a running trader it is what it found last; where none runs, the account is read from here.
    """
    with one_line_errors():
        from trader.opening import is_taken

        settings = settings_of(config)
        lines = _told(settings) if is_taken(settings.home) else _compared(settings)
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)


@app.command("settle")
def settle(
    by: By,
    reason: Reason,
    cash: Annotated[
        list[str] | None, typer.Option(help="What the broker has more: USD=5000, EUR=-12.50.")
    ] = None,
    position: Annotated[
        list[str] | None,
        typer.Option(help="What it holds more: US.AAPL=100, or at a price: US.AAPL=100@190.5."),
    ] = None,
    fills: Annotated[
        bool, typer.Option("--fills", help="Take in executions of orders that are not ours.")
    ] = False,
    income: Annotated[
        bool, typer.Option("--income", help="The cash was earned or spent: no capital was moved.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Book what the account differs by, by a person's word, where it is exactly as claimed.

    A deposit, a withdrawal, a fee, shares that were moved, trades by hand. Lift the stop after it.
    """
    with one_line_errors():
        from pipelines.trader_calls import ask_trader
        from trader.account_settling import AccountClaim
        from trader.opening import is_taken

        settings = settings_of(config)
        body: dict[str, object] = {
            "cash": _pairs(cash or (), "--cash", "USD=5000"),
            "positions": _pairs(position or (), "--position", "US.AAPL=100@190.5"),
            "fills": fills,
            "income": income,
            "by": by,
            "reason": reason,
        }
        claim = AccountClaim.of(body)
        if is_taken(settings.home):
            before = _claims(settings)
            said = ask_trader(settings, "/account/settle", body)
            said = _outcome(settings, before) or said
        else:
            said = _settle_here(settings, claim)
        console.print(said, highlight=False, soft_wrap=True)


def _pairs(given: Iterable[str], name: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in given:
        key, sign, amount = text.rpartition("=")
        if not sign or not key.strip() or key.strip() in pairs:
            raise ValueError(f"{name} must be given as {example}, each name once, was {text!r}")
        pairs[key.strip()] = amount.strip()
    return pairs


def _claims(settings: "ApiarySettings") -> Mapping[str, object]:
    from trader.heartbeat import find_heartbeat, heartbeat_path

    return (find_heartbeat(heartbeat_path(settings.home)) or {}).get("claims") or {}


def _outcome(settings: "ApiarySettings", before: Mapping[str, object]) -> str:
    """Wait for what the trader says of a claim; nothing where it takes longer than it may.

    Raises ValueError where it was not settled.
    """
    ends = monotonic() + _OUTCOME_S
    while monotonic() < ends:
        now = _claims(settings)
        if now.get("done") != before.get("done"):
            line = str(now.get("told", ""))
            if NOT_SETTLED in line:
                raise ValueError(line)
            return line
        sleep(0.1)
    return ""


def _told(settings: "ApiarySettings") -> list[str]:
    from trader.heartbeat import find_heartbeat, heartbeat_path

    told = find_heartbeat(heartbeat_path(settings.home)) or {}
    if told.get("held_back"):
        return [f"held back: {told['held_back']}"]
    return _as_command(told.get("differs") or {})


def _compared(settings: "ApiarySettings") -> list[str]:
    from pipelines.trading_parts import reached_account, reconciliation_rules
    from swarm_core.reconciliation import reconcile
    from trader.account_settling import differences
    from trader.opening import lock_of

    with lock_of(settings.home, "apiary account"), reached_account(settings) as (desk, broker):
        desk.catch_up()
        account = desk.unretired(broker.account())
        found = reconcile(desk.book, account, reconciliation_rules(settings))
        command = _as_command(differences(found, desk.instruments))
        return [*map(str, found.findings), *command]


def _as_command(differs: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the command that claims just that, or that nothing differs."""
    cash = [f"--cash {name}={amount}" for name, amount in differs.get("cash", {}).items()]
    held = [f"--position {name}={amount}" for name, amount in differs.get("positions", {}).items()]
    if not (cash or held):
        return ["cash and positions agree"]
    claims = " ".join(cash + held)
    return [f"settled by: apiary account settle {claims} --by NAME --reason TEXT"]


def _settle_here(settings: "ApiarySettings", claim: "AccountClaim") -> str:
    from pipelines.trading_parts import reached_account, reconciliation_rules
    from trader.account_settling import settle_account
    from trader.opening import lock_of

    with lock_of(settings.home, "apiary account"), reached_account(settings) as (desk, broker):
        return settle_account(desk, broker, reconciliation_rules(settings), claim)
