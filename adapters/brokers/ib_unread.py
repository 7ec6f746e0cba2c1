"""Messages of a gateway that the client library cannot read: it drops them, and only logs that."""

from collections.abc import Callable
from typing import Any

from ib_async import IB

# What says how orders and the account stand, by its number on the wire.
_TOLD = {
    3: "orderStatus",
    5: "openOrder",
    6: "updateAccountValue",
    11: "execDetails",
    59: "commissionReport",
    61: "position",
    101: "completedOrder",
}
Handler = Callable[[list[str]], Any]


def note_unread(client: IB, note: Callable[[str], None]) -> None:
    """Have `note` called with name and reason of each such message that cannot be read."""
    handlers: dict[int, Any] = client.client.decoder.handlers
    for number, name in _TOLD.items():
        if number in handlers:
            handlers[number] = _noting(handlers[number], name, note)


def _noting(handler: Handler, name: str, note: Callable[[str], None]) -> Handler:
    def handle(fields: list[str]) -> None:
        try:
            handler(fields)
        except Exception as error:
            note(f"{name}: {error}")
            raise  # the library logs it, with all its fields

    return handle
