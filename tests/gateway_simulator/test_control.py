"""The simulator as a person uses it: the command, the control port, given bars, a script."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway_simulator.control import ControlServer
from gateway_simulator.faults import FaultKind, script_of
from gateway_simulator.replay import read_bars, replay
from pipelines.cli import app
from tests.gateway_simulator.gateways import A_ID, hosted, make_gateway
from tests.gateway_simulator.official import official, order, stock


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=5) as answer:
        return json.load(answer)


def test_a_person_starts_it_and_sets_what_happens() -> None:
    """Start the command, trade over TCP, fill and break things over HTTP, stop it by a signal."""
    words = ["simulate-gateway", "--port", "0", "--account", "DU7", "--list-any"]
    run = [sys.executable, "-c", "from pipelines.cli import app; app()", *words]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(",")[0].rpartition(":")[2])
        control = process.stdout.readline().split()[2]
        with official(port) as client:
            client.wait("nextValidId")
            assert client.told("managedAccounts") == [("DU7",)]
            ask(f"{control}/quote", {"symbol": "ANY", "bid": 10, "ask": "10.02"})
            client.placeOrder(1, stock("ANY"), order(kind="LMT", lmtPrice=9.0, orderRef="r"))
            client.wait("openOrder")
            ask(f"{control}/fill", {"ref": "r", "quantity": 4, "price": "8.5"})
            ((_, __, done),) = client.wait("execDetails")
            assert (done.shares, done.price) == (4, 8.5)
            ask(f"{control}/fault", {"kind": "upstream_lost"})
            client.wait("error", 5)
            assert 1100 in client.error_codes(-1)
            ask(f"{control}/fault", {"kind": "drop"})
            client.wait("connectionClosed")
        state = ask(f"{control}/state")
        assert state["accounts"]["DU7"]["positions"] == {"ANY": "4"}
        assert [o["filled"] for o in state["orders"]] == ["4"]
        with pytest.raises(urllib.error.HTTPError, match="400"):
            ask(f"{control}/fault", {"kind": "earthquake"})
        process.send_signal(signal.SIGTERM)
        assert "drop" in process.stdout.read()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {kind: earthquake}", "kind must be one of"),
        ("- {kind: drop, when: now}", "must have only"),
        ("- {kind: drop, nth: 0}", "nth must be >= 1"),
        ("- {kind: drop, after_s: soon}", "after_s must be a number"),
        ("drop", "a script must be a list of faults"),
        ("[drop]", "a fault must be a mapping"),
    ],
)
def test_a_wrong_script_gets_one_line(tmp_path: Path, text: str, told: str) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(text)
    words = ["simulate-gateway", "--port", "0", "--for-s", "0.01", "--script", str(script)]
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output


def test_a_script_is_read() -> None:
    """A list, or a mapping that has it under its name."""
    listed = [{"kind": "half_open", "at": "place_order", "nth": 2, "seconds": 3}]
    (fault,) = script_of({"faults": listed})
    assert (fault.kind, fault.at, fault.nth) == (FaultKind.HALF_OPEN, "place_order", 2)
    assert script_of(listed) == [fault]


def test_given_bars_are_followed(tmp_path: Path) -> None:
    """Each bar lasts as long as it is told; after the last one its close stands."""
    path = tmp_path / "bars.csv"
    rows = ["A,100,10,12,9,11,500", "A,200,11,13,11,12,700"]
    path.write_text("symbol,time_s,open,high,low,close,volume\n" + "\n".join(rows))
    gateway = make_gateway()
    gateway.market.release_quote(A_ID)
    now_ns = 1_767_700_000 * 10**9
    gateway.clock.source = lambda: now_ns
    replay(gateway, read_bars(path), 10.0)
    share = gateway.catalogue.get(A_ID)
    assert gateway.market.quote(share).last == 11
    now_ns += 10 * 10**9
    quote = gateway.market.quote(share)
    assert (quote.bid, quote.last, quote.ask) == (Decimal("11.99"), 12, Decimal("12.01"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("symbol,time_s\nA,1", "must have the columns"),
        ("symbol,time_s,open,high,low,close,volume\nA,1,x,2,1,1,1", "line 2"),
        ("symbol,time_s,open,high,low,close,volume\nA,1,5,4,3,4,1", "low <= open, close <= high"),
    ],
)
def test_wrong_bars_get_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=told):
        read_bars(path)


def test_whoever_writes_nonsense_to_the_control_port_is_answered_and_let_go() -> None:
    """A head without an end, of more bytes than are read at once: 431, and the next is served."""

    async def play() -> tuple[bytes, bytes]:
        gateway = make_gateway()
        control = ControlServer(gateway)
        await control.start()
        answers: list[bytes] = []
        for sent in (b"x" * 2**17, b"GET /nowhere HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", control.port)
            writer.write(sent)
            answers.append(await asyncio.wait_for(reader.readline(), 10))
            writer.close()
        control.stop()
        return answers[0], answers[1]

    long, unknown = asyncio.run(play())
    assert long.startswith(b"HTTP/1.1 431")
    assert unknown.startswith(b"HTTP/1.1 404")


def test_a_gateway_whose_port_is_taken_leaves_no_thread_behind() -> None:
    """OSError, and the thread and its loop are gone."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        before = set(threading.enumerate())  # those of tests before may end meanwhile
        with pytest.raises(OSError, match="in use"), hosted(port=port):
            pass
        assert set(threading.enumerate()) <= before
