"""Every instrument has one contract at Interactive Brokers, or is refused."""

import pytest

from adapters.brokers.ib_contracts import ContractTerms, contract_of
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
