"""`apiary orders`: list what works; cancel, replace or settle one order by a person's word."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli_limits import By, Reason
from pipelines.cli_trader import settings_of
from pipelines.terminal import ConfigOption, console, one_line_errors

if TYPE_CHECKING:
    from pipelines.settings import ApiarySettings

app = typer.Typer(help="The orders of the book.", no_args_is_help=True)

OrderId = Annotated[str, typer.Argument(help="Its client order id, or how that begins.")]


@app.command("list")
def list_orders(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended as well.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the orders that work: id, state, side, lots, filled, prices, and what they belong to."""
    with one_line_errors():
        from pipelines.desk_log import open_event_log
        from swarm_core.book import book_from_events

        settings = settings_of(config)
        log = open_event_log(settings)
        book = book_from_events(
            log.read(), settings.base_currency, settings.book.starting_cash, keeps_all=everything
        )
        records = list(book.orders.values()) if everything else book.working_orders()
        for record in records:
            order = record.order
            prices = {"limit": order.limit_price_ticks, "stop": order.stop_price_ticks}
            told = " ".join(f"{n} {ticks}" for n, ticks in prices.items() if ticks is not None)
            kind = order.kind.value if order.exit_kind is None else order.exit_kind.value
            line = (
                f"{order.client_order_id} {record.state.value} {order.side.value} "
                f"{order.quantity_lots} {order.instrument_id} {kind} filled {record.filled_lots} "
                f"{told} of {order.decision_id}"
            )
            console.print(" ".join(line.split()), highlight=False, soft_wrap=True)
        if not records:
            console.print("none", highlight=False)


@app.command("cancel")
def cancel(order: OrderId, by: By, reason: Reason, config: ConfigOption = None) -> None:
    """Cancel one working order, its exits with it; where no trader runs, from here."""
    with one_line_errors():
        from pipelines.trader_calls import ask_trader
        from trader.opening import is_taken

        settings = settings_of(config)
        if is_taken(settings.home):
            said = ask_trader(
                settings, "/orders/cancel", {"order": order, "by": by, "reason": reason}
            )
        else:
            said = _cancel_here(settings, order, f"by {by}: {reason}")
        console.print(said, highlight=False, soft_wrap=True)


@app.command("replace")
def replace(
    order: OrderId,
    by: By,
    reason: Reason,
    quantity: Annotated[str | None, typer.Option(help="The new whole quantity.")] = None,
    limit: Annotated[str | None, typer.Option(help="The new limit price.")] = None,
    stop: Annotated[str | None, typer.Option(help="The new stop price.")] = None,
    config: ConfigOption = None,
) -> None:
    """Put another order in the place of a working one, through the gate of the running trader."""
    with one_line_errors():
        from pipelines.trader_calls import ask_trader
        from trader.opening import is_taken

        settings = settings_of(config)
        if not is_taken(settings.home):
            raise ValueError("a trader must run to replace an order: only it knows the market")
        asked = {"quantity": quantity, "limit": limit, "stop": stop}
        given = {name: value for name, value in asked.items() if value is not None}
        body = {"order": order, "by": by, "reason": reason, **given}
        console.print(
            ask_trader(settings, "/orders/replace", body), highlight=False, soft_wrap=True
        )


@app.command("settle")
def settle(order: OrderId, by: By, reason: Reason, config: ConfigOption = None) -> None:
    """End a cancelled order that its broker has lost, where the whole account holds none of it.

    The trader tells what the account shows; where no trader runs, it is read from here.
    """
    with one_line_errors():
        from pipelines.trader_calls import ask_trader
        from trader.opening import is_taken

        settings = settings_of(config)
        if is_taken(settings.home):
            body = {"order": order, "by": by, "reason": reason}
            said = ask_trader(settings, "/orders/settle", body)
        else:
            said = _settle_here(settings, order, by, reason)
        console.print(said, highlight=False, soft_wrap=True)


def _settle_here(settings: "ApiarySettings", order: str, by: str, reason: str) -> str:
    from pipelines.trading_parts import reached_account, reconciliation_rules
    from trader.opening import lock_of
    from trader.order_commands import find_working
    from trader.settling import settle

    with lock_of(settings.home, "apiary orders"), reached_account(settings) as (desk, broker):
        found = find_working(desk.book, order).order.client_order_id
        settle(desk, broker, reconciliation_rules(settings), found, actor=by, reason=reason)
        return f"{found} is over: the account holds nothing of it"


def _cancel_here(settings: "ApiarySettings", order: str, reason: str) -> str:
    from pipelines.trading_parts import reached_desk
    from trader.opening import lock_of
    from trader.order_commands import find_working

    with lock_of(settings.home, "apiary orders"), reached_desk(settings) as desk:
        found = find_working(desk.book, order).order.client_order_id
        desk.cancel(found, reason)
        return f"{found} is to be cancelled"
