"""Every instrument has one contract at Interactive Brokers, or is refused."""

import asyncio
import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async import Contract, ContractDetails

from adapters.brokers.ib_contract_cache import ContractCache
from adapters.brokers.ib_contracts import ContractBook, ContractTerms, contract_of
from swarm_core.instruments import Instrument
from tests.swarm_core.builders import make_instrument


@pytest.mark.parametrize(
    ("instrument_id", "fields", "terms", "expected"),
    [
        ("US.AAPL", {}, None, ("STK", "AAPL", "SMART")),
        ("US.SPY", {"asset_class": "etf"}, None, ("STK", "SPY", "SMART")),
        ("FX.EURUSD", {"asset_class": "fx"}, None, ("CASH", "EUR", "IDEALPRO")),
        ("CC.BTC/USD", {"asset_class": "crypto"}, None, ("CRYPTO", "BTC", "PAXOS")),
        ("US.IBUS500", {"asset_class": "cfd"}, None, ("CFD", "IBUS500", "SMART")),
        (
            "F.ESH7",
            {"asset_class": "future", "venue": "CME"},
            ContractTerms(symbol="ES", last_trade_date="202703"),
            ("FUT", "ES", "CME"),
        ),
        (
            "O.AAPL",
            {"asset_class": "option"},
            ContractTerms(symbol="AAPL", last_trade_date="20270115", strike=200.0, right="C"),
            ("OPT", "AAPL", "SMART"),
        ),
    ],
)
def test_every_asset_class_has_its_contract(
    instrument_id: str,
    fields: dict[str, object],
    terms: ContractTerms | None,
    expected: tuple[str, str, str],
) -> None:
    """Stocks, funds, pairs, coins, CFDs, futures and options."""
    contract = contract_of(make_instrument(instrument_id, **fields), terms)

    assert (contract.secType, contract.symbol, contract.exchange) == expected


@pytest.mark.parametrize("asset_class", ["future", "option", "house"])
def test_what_cannot_be_named_is_refused(asset_class: str) -> None:
    """A future without its month, or an unknown class, is one line."""
    with pytest.raises(ValueError, match="must be"):
        contract_of(make_instrument("X.Y", asset_class=asset_class))


ES = ContractTerms(symbol="ES", last_trade_date="202612")


def qualify(
    instrument: Instrument,
    kind: str,
    multiplier: str,
    step: float,
    *,
    magnifier: int = 1,
    cache: ContractCache | None = None,
) -> int:
    """Return the contract id of an instrument whose one contract has these units."""
    terms = {} if kind in ("STK", "CASH") else {instrument.instrument_id: ES}
    book = ContractBook({instrument.instrument_id: instrument}, terms, cache)

    async def look_up(_: Contract) -> Sequence[ContractDetails]:
        found = Contract(conId=7, secType=kind, multiplier=multiplier)
        return [ContractDetails(contract=found, minTick=step, priceMagnifier=magnifier)]

    return asyncio.run(book.qualify(instrument.instrument_id, look_up)).conId


def future(multiplier: int = 50, step: str = "0.25") -> Instrument:
    return make_instrument(
        "FUT.ES",
        asset_class="future",
        multiplier=Decimal(multiplier),
        price_increment=Decimal(step),
    )


def test_a_contract_with_the_units_of_its_instrument_is_taken() -> None:
    assert qualify(future(), "FUT", "50", 0.25) == 7
    assert qualify(future(step="0.01"), "FUT", "50", 0.25) == 7
    assert qualify(make_instrument("US.A"), "STK", "", 0.0001) == 7


def test_a_price_that_is_told_larger_than_it_is_divides_the_multiplier() -> None:
    """Corn is quoted in cents, and 5000 bushels of it are worth 50 dollars a cent."""
    assert qualify(future(), "FUT", "5000", 0.25, magnifier=100) == 7


@pytest.mark.parametrize(
    ("instrument", "kind", "multiplier", "step", "said"),
    [
        (future(multiplier=1), "FUT", "50", 0.25, "multiplier of FUT.ES must be 50"),
        (future(), "FUT", "", 0.25, "multiplier of FUT.ES must be 1"),
        (future(), "FUT", "many", 0.25, "must be numbers, was 'many'"),
        (
            make_instrument("FX.EURUSD", asset_class="fx"),
            "CASH",
            "",
            0.00005,
            "price_increment of FX.EURUSD must go into 0.00005",
        ),
    ],
)
def test_an_instrument_in_other_units_than_its_contract_is_refused(
    instrument: Instrument, kind: str, multiplier: str, step: float, said: str
) -> None:
    """Fifty times too many lots were bought, or a pair was booked at another price than paid."""
    with pytest.raises(ValueError, match=said):
        qualify(instrument, kind, multiplier, step)


def test_units_are_remembered_with_the_contract(tmp_path: Path) -> None:
    """An instrument that is listed anew is held against what was read last week."""
    path = tmp_path / "contracts.json"

    def cache() -> ContractCache:
        return ContractCache(path, lambda: date(2026, 7, 2))

    qualify(future(), "FUT", "50", 0.25, cache=cache())
    with pytest.raises(ValueError, match="must be 50"):
        qualify(future(multiplier=1), "FUT", "1", 0.25, cache=cache())
    entries = json.loads(path.read_text())
    for entry in entries.values():
        del entry["unit_multiplier"]  # as an older release wrote it
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="must be 1,"):
        qualify(future(), "FUT", "1", 0.25, cache=cache())


def test_a_contract_that_the_broker_does_not_know_by_its_number_is_asked_for_anew(
    tmp_path: Path,
) -> None:
    """The number had changed overnight: the kept one was refused for a week."""
    path, share, asked = tmp_path / "contracts.json", make_instrument("US.A"), list[str]()
    cache = ContractCache(path, lambda: date(2026, 7, 2))
    book = ContractBook({"US.A": share}, cache=cache)

    async def look_up(contract: Contract) -> Sequence[ContractDetails]:
        asked.append(contract.symbol)
        return [ContractDetails(contract=Contract(conId=6 + len(asked), secType="STK"))]

    def number() -> int:
        return asyncio.run(book.qualify("US.A", look_up)).conId

    assert (number(), number()) == (7, 7)
    book.forget(99)
    assert number() == 7
    book.forget(7)
    assert (number(), number()) == (8, 8)
    kept = json.loads(path.read_text())
    assert [entry["conId"] for entry in kept.values()] == [8]
