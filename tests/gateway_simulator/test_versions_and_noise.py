"""Old clients are served at their own version, and noise harms nobody but who makes it."""

import asyncio
import random
import struct
from collections.abc import Iterator

import ibapi.client
import pytest
from ibapi.execution import ExecutionFilter

from gateway_simulator.hosting import HostedGateway
from gateway_simulator.message_ids import In
from gateway_simulator.wire import frame
from tests.gateway_simulator.gateways import A_ID, hosted, make_gateway
from tests.gateway_simulator.official import official, order, stock


@pytest.fixture(scope="module")
def host() -> Iterator[HostedGateway]:
    with hosted() as started:
        yield started


@pytest.mark.parametrize("version", [145, 150, 152, 156, 159, 163, 164, 166, 169, 175])
def test_an_old_client_trades_at_its_own_version(
    host: HostedGateway, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract, order, fill, execution, account and greeks' ticks are told as it reads them."""
    monkeypatch.setattr(ibapi.client, "MAX_CLIENT_VER", version)
    with official(host.port, client_id=version) as client:
        client.wait("nextValidId")
        assert client.serverVersion() == version
        client.reqContractDetails(1, stock())
        ((_, details),) = client.wait("contractDetails")
        assert (details.contract.conId, details.minTick) == (A_ID, 0.01)
        client.placeOrder(1, stock(), order(orderRef=f"v{version}", tif="GTC"))
        ((_, __, done),) = client.wait("execDetails")
        assert (done.orderRef, done.shares) == (f"v{version}", 10)
        shown = client.wait("openOrder", 2)[-1]
        assert (shown[2].orderRef, shown[2].tif, shown[3].status) == (
            f"v{version}",
            "GTC",
            "Filled",
        )
        client.reqExecutions(2, ExecutionFilter())
        client.wait("execDetailsEnd")
        client.reqAccountUpdates(True, "DU1")
        client.wait("accountDownloadEnd")
        client.reqMktData(3, stock(), "", True, False, [])
        client.wait("tickSnapshotEnd")
        client.reqMatchingSymbols(4, "A")
        ((_, found),) = client.wait("symbolSamples")
        assert [item.contract.symbol for item in found] == ["A"]
        assert client.error_codes(-1)[:4] == [2104, 2104, 2106, 2158]


def noise(rng: random.Random) -> bytes:
    """Return a message that no correct client sends: fields of any kind under any number."""
    words = ["", "0", "1", "-1", "x", "AAPL", "1e999", "nan", "2147483648", "STK", "SMART", "é" * 9]
    words += ["20261332 99:99:99", "20260605 10:00:00 Mars/Base", "1e999999999", "1 D", "99 Y"]
    words += ["1 min", "USD", "a;b,c", "-0.5", str(A_ID)]
    number = rng.choice([*In, *In, 999, -5, "?"])  # known ones mostly
    if number == In.START_API:
        number = In.REQ_IDS
    return frame([number, *(rng.choice(words) for _ in range(rng.randrange(30)))])


async def _talk(port: int, messages: list[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"API\0" + struct.pack(">I", 9) + b"v100..176")
    writer.write(frame([In.START_API, 2, 77, ""]) + b"".join(messages))
    writer.write_eof()
    while await reader.read(65_536):
        pass
    writer.close()


@pytest.mark.parametrize("seed", range(6))
def test_noise_ends_no_gateway(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Five hundred messages of noise, then bytes that are no message: the others are served."""
    rng = random.Random(seed)

    async def play() -> list[str]:
        faults: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(repr(context)))
        gateway = make_gateway()
        await gateway.start()
        await _talk(gateway.port, [noise(rng) for _ in range(500)])
        await _talk(gateway.port, [rng.randbytes(rng.randrange(1, 400))])
        assert gateway.sessions == []  # a session is forgotten before it hangs up
        await _talk(gateway.port, [frame([In.REQ_CURRENT_TIME, 1])])
        await gateway.stop()
        return faults

    assert asyncio.run(play()) == [], f"seed {seed}"
    assert not [r for r in caplog.records if r.levelname == "ERROR"], f"seed {seed}"
