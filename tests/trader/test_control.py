"""The control server: a halt by HTTP needs the token, and nothing lifts one."""

import asyncio
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from trader.account_settling import AccountClaim
from trader.control import ControlServer, make_token
from trader.kill_switch import Halt, KillSwitch
from trader.order_commands import OrderCommand

WORD = {"reason": "drill", "actor": "anna"}


def call(tmp_path: Path, method: str, target: str, token: str, body: object) -> httpx.Response:
    async def ask() -> httpx.Response:
        switch = KillSwitch(tmp_path / "halt")
        async with (
            ControlServer(0, "secret", switch.pull, lambda: {"state": "active"}) as server,
            httpx.AsyncClient() as client,
        ):
            return await client.request(
                method,
                f"http://127.0.0.1:{server.port}{target}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )

    return asyncio.run(ask())


def test_a_call_with_the_token_halts(tmp_path: Path) -> None:
    """The switch holds what the call said."""
    answer = call(tmp_path, "POST", "/halt", "secret", {**WORD, "flatten": True})

    assert answer.status_code == 202
    assert KillSwitch(tmp_path / "halt").find() == Halt(reason="drill", actor="anna", flatten=True)


@pytest.mark.parametrize(
    ("method", "target", "token", "body", "status"),
    [
        ("POST", "/halt", "guessed", WORD, 401),
        ("POST", "/halt", "secret", {"reason": "", "actor": "anna"}, 400),
        ("POST", "/halt", "secret", "x" * 5_000, 400),
        ("POST", "/halt", "secret", ["halt"], 400),
        ("POST", "/resume", "secret", WORD, 404),
    ],
)
def test_other_calls_change_nothing(
    tmp_path: Path, method: str, target: str, token: str, body: object, status: int
) -> None:
    """A wrong token, an unreadable body or another address pulls no switch."""
    assert call(tmp_path, method, target, token, body).status_code == status
    assert not KillSwitch(tmp_path / "halt").is_pulled


def test_health_is_told_without_a_token(tmp_path: Path) -> None:
    """What watches the trader needs no secret."""
    assert call(tmp_path, "GET", "/health", "none", None).json() == {"state": "active"}


def test_the_token_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The same token is found again, in a file of mode 600."""
    path = tmp_path / "control" / "token"

    assert make_token(path) == make_token(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_command_about_an_order_is_handed_on_and_its_refusal_told(tmp_path: Path) -> None:
    asked: list[OrderCommand] = []

    def orders(command: OrderCommand) -> str:
        if command.order_id == "A2":
            raise ValueError("the order must be one of those that work")
        asked.append(command)
        return "A1 is to be cancelled"

    claims: list[AccountClaim] = []

    def claim(asked: AccountClaim) -> str:
        claims.append(asked)
        return "it is held against the account"

    async def ask(target: str, token: str, body: object) -> httpx.Response:
        async with (
            ControlServer(0, "secret", lambda _: None, dict, orders, claim) as server,
            httpx.AsyncClient() as client,
        ):
            return await client.post(
                f"http://127.0.0.1:{server.port}{target}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )

    body = {"order": "A1", "by": "anna", "reason": "too large"}
    answer = asyncio.run(ask("/orders/cancel", "secret", body))
    assert (answer.status_code, answer.json()) == (202, {"told": "A1 is to be cancelled"})
    assert asyncio.run(ask("/orders/cancel", "guessed", body)).status_code == 401
    refused = asyncio.run(ask("/orders/cancel", "secret", {**body, "order": "A2"}))
    assert refused.status_code == 400
    assert "must be one of those that work" in refused.json()["error"]
    odd = asyncio.run(ask("/orders/replace", "secret", {**body, "price": 1}))
    assert odd.status_code == 400
    assert [c.order_id for c in asked] == ["A1"]

    body = {"cash": {"USD": "-12.5"}, "by": "anna", "reason": "a fee", "income": True}
    answer = asyncio.run(ask("/account/settle", "secret", body))
    assert (answer.status_code, answer.json()) == (202, {"told": "it is held against the account"})
    assert asyncio.run(ask("/account/settle", "secret", {**body, "cash": {}})).status_code == 400
    assert asyncio.run(ask("/account/settle", "guessed", body)).status_code == 401
    assert [c.cash for c in claims] == [{"USD": Decimal("-12.5")}]
