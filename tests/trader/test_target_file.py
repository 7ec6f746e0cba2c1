"""A file of weights: what waits for a quote, and the desk that ships for trying the simulator."""

from pathlib import Path

import yaml

from pipelines.settings import ROOT
from swarm_core.book import Book
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from tests.gateway_simulator.gateways import wait_until
from tests.trader.gateways import gateway_process
from tests.trader.homes import book_of, trader_process
from trader.ports import Moment
from trader.target_file import PATIENCE_NS, TargetFileEngine

DUE_NS = 1_000_000_000 * 10**9
TEXT = "targets: [{at: 2001-09-09T01:46:40Z, weights: {US.A: 0.1}}]"


def test_a_row_of_long_ago_waits_for_the_first_quotes_of_a_process(tmp_path: Path) -> None:
    """Else each start would deny what it has not been told the price of yet, once and for all."""
    path = tmp_path / "targets.yaml"
    path.write_text(TEXT)
    quotes, book, start_ns = dict[str, Quote](), Book("USD", 10**14), DUE_NS + 900 * PATIENCE_NS
    instrument = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")

    engine = TargetFileEngine(path, quotes)
    assert engine.on_market(Moment(start_ns), book, start_ns) is None
    late_ns = start_ns + PATIENCE_NS - 1
    assert engine.on_market(Moment(late_ns), book, late_ns) is None
    quotes["US.A"] = Quote.from_price(instrument, 10.0, late_ns)
    intent = engine.on_market(Moment(late_ns), book, late_ns)
    assert intent is not None
    assert intent.targets.target_weights == (0.1,)

    unquoted = TargetFileEngine(path, {})
    assert unquoted.on_market(Moment(start_ns), book, start_ns) is None
    end_ns = start_ns + PATIENCE_NS
    assert unquoted.on_market(Moment(end_ns), book, end_ns) is not None  # the gate denies it


def test_the_desk_for_the_simulator_trades_as_it_ships(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text())
    (tmp_path / "targets.yaml").write_text((ROOT / "config" / "targets.yaml").read_text())
    with gateway_process() as gateway:
        content["home"] = str(tmp_path / "home")
        content["risk_limits"] = str(ROOT / "config" / "risk_limits.yaml")
        for part in ("feed", "broker"):
            content["trade"][part]["port"] = gateway.port
        config = tmp_path / "gateway.yaml"
        config.write_text(yaml.safe_dump(content))
        with trader_process(config, ("dagster", "redis", "psycopg", "feast")):
            wait_until(lambda: len(book_of(config).ledger.commissions) == 1, "a fill", 60)
        assert set(book_of(config).ledger.positions) == {"US.MSFT"}
