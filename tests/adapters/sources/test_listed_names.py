"""Where symbols say that they are listed, in each vendor's spelling, and the units of headers."""

from pathlib import Path

import pytest

from adapters.sources.inference import Hints
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred


def bars(header: str, *before: str, close: str = "10.5") -> str:
    """Return a file of bars with one price all along."""
    lines = [",".join([*before, str(day), close, close, close, close, "7"]) for day in SESSIONS]
    return "\n".join([header, *lines])


@pytest.mark.parametrize(
    ("symbol", "expected", "currency"),
    [
        ("AAPL.O", "US.AAPL", "USD"),
        ("IBM.N", "US.IBM", "USD"),
        ("AAPL.XNAS", "US.AAPL", "USD"),
        ("NASDAQ:AAPL", "US.AAPL", "USD"),
        ("AAPL:US", "US.AAPL", "USD"),
        ("BRK.B", "US.BRK.B", "USD"),
        ("BAC.PR.N", "US.BAC.PR.N", "USD"),
        ("NESN.S", "XSWX.NESN", "CHF"),
        ("SAP GY Equity", "XETR.SAP", "EUR"),
        ("SAP GR", "XETR.SAP", "EUR"),
        ("XETR:SAP", "XETR.SAP", "EUR"),
        ("TYO:7203", "XTKS.7203", "JPY"),
        ("7203 JT", "XTKS.7203", "JPY"),
        ("BINANCE:BTCUSDT", "CRYPTO.BTCUSDT", "USDT"),
        ("X:BTCUSD", "CRYPTO.BTCUSD", "USD"),
        ("C:EURUSD", "FX.EURUSD", "USD"),
        ("CME_MINI:ES1!", "FUT.ES1!", "USD"),
    ],
)
def test_a_symbol_is_of_the_exchange_that_it_names(
    tmp_path: Path, symbol: str, expected: str, currency: str
) -> None:
    text = bars("Symbol,Date,Open,High,Low,Close,Volume", symbol)
    listed = inferred(tmp_path, {"prices.csv": text}).instruments()
    assert listed.select("instrument_id", "currency").unique().rows() == [(expected, currency)]


@pytest.mark.parametrize("symbol", ["FRA:SAP", "TSE:7203", "XYZ:ABC"])
def test_an_exchange_that_is_not_known_is_asked_about(tmp_path: Path, symbol: str) -> None:
    """It was a share of New York, named FRA:SAP."""
    text = bars("Symbol,Date,Open,High,Low,Close,Volume", symbol)
    with pytest.raises(MappingError, match=f"on which exchange is '{symbol}' listed"):
        inferred(tmp_path, {"prices.csv": text})


@pytest.mark.parametrize("name", ["SAP GY Equity.csv", "SAP GR.csv", "SAP.DE.csv"])
def test_a_file_is_named_as_its_vendor_names_the_share(tmp_path: Path, name: str) -> None:
    source = inferred(tmp_path, {name: bars("Date,Open,High,Low,Close,Volume")})
    assert source.instruments()["instrument_id"].unique().to_list() == ["XETR.SAP"]


@pytest.mark.parametrize(
    ("unit", "currency"),
    [(" (USD)", "USD"), (" [EUR]", "EUR"), ("_gbp", "GBP"), (" (€)", "EUR"), (", CHF", "CHF")],
)
def test_a_header_names_the_currency_of_its_prices(
    tmp_path: Path, unit: str, currency: str
) -> None:
    """Such bars were read as five series of macro values, and nothing was traded."""
    names = [f'"{price}{unit}"' for price in ("Open", "High", "Low", "Close")]
    text = bars(",".join(["Date", *names, "Volume (shares)"]))
    source = inferred(tmp_path, {"SAP.csv": text}, Hints(calendar="XNYS"))
    rows = source.fetch("bars", *EVER)
    assert rows.select("open", "close", "volume", "currency").unique().rows() == [
        (10.5, 10.5, 7.0, currency)
    ]
    assert source.instruments()["currency"].unique().to_list() == [currency]


def test_prices_in_pence_by_their_header_need_no_question(tmp_path: Path) -> None:
    header = "Date,Open (p),High (p),Low (p),Close (p),Volume (000s)"
    rows = inferred(tmp_path, {"VOD.L.csv": bars(header)}).fetch("bars", *EVER)
    found = rows.select("instrument_id", "close", "currency", "volume").unique().rows()
    assert found == [("XLON.VOD", 0.105, "GBP", 7000.0)]


def test_a_traded_value_is_no_volume_and_closes_of_several_coins_are_no_close(
    tmp_path: Path,
) -> None:
    header = "Date,Open,High,Low,Close,Volume BTC,Volume USDT"
    text = header + "".join(f"\n{day},1,2,1,2,3,6" for day in SESSIONS)
    rows = inferred(tmp_path, {"BTCUSDT.csv": text}).fetch("bars", *EVER)
    assert set(rows["volume"]) == {3.0}
    (tmp_path / "several").mkdir()
    text = "Date,Close BTC,Close ETH" + "".join(f"\n{day},1,2" for day in SESSIONS)
    assert inferred(tmp_path / "several", {"coins.csv": text}).tables == ("macro",)


def test_prices_in_two_currencies_are_asked_about(tmp_path: Path) -> None:
    text = bars("Date,Open (USD),High (USD),Low (USD),Close (EUR),Volume")
    with pytest.raises(MappingError, match="in which currency are the prices"):
        inferred(tmp_path, {"SAP.csv": text})


@pytest.mark.parametrize("close", ["127'165", "127-16+", "127'16.5", "367'4", "127^165"])
def test_prices_in_fractions_are_asked_about(tmp_path: Path, close: str) -> None:
    """127'165, which is 127 and 16.5 of 32 parts, was read as 127,165."""
    text = bars("Date,Open,High,Low,Close,Volume", close=close)
    with pytest.raises(MappingError, match="holds fractions such as"):
        inferred(tmp_path, {"ZNH20.csv": text})
