"""A file of weights: what waits for a quote, and the desk that ships for trying the simulator."""

from pathlib import Path

import yaml

from pipelines.settings import ROOT
from swarm_core import events as ev
from swarm_core.book import Book
from swarm_core.instruments import Instrument
from swarm_core.lineage import Lineage
from swarm_core.market import Quote
from swarm_core.retirement import retirement
from tests.gateway_simulator.gateways import wait_until
from tests.trader.gateways import gateway_process
from tests.trader.homes import book_of, trader_process
from trader.ports import Moment
from trader.settings import QUOTE_PATIENCE_NS
from trader.target_file import TargetFileEngine

DUE_NS = 1_000_000_000 * 10**9
TEXT = "targets: [{at: 2001-09-09T01:46:40Z, weights: {US.A: 0.1}}]"


def test_a_row_of_long_ago_waits_for_the_first_quotes_of_a_process(tmp_path: Path) -> None:
    """Else each start would deny what it has not been told the price of yet, once and for all."""
    path = tmp_path / "targets.yaml"
    path.write_text(TEXT)
    quotes, book, start_ns = (
        dict[str, Quote](),
        Book("USD", 10**14),
        DUE_NS + 900 * QUOTE_PATIENCE_NS,
    )
    instrument = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")

    engine = TargetFileEngine(path, quotes)
    assert engine.on_market(Moment(start_ns), book, start_ns) is None
    late_ns = start_ns + QUOTE_PATIENCE_NS - 1
    assert engine.on_market(Moment(late_ns), book, late_ns) is None
    quotes["US.A"] = Quote.from_price(instrument, 10.0, late_ns)
    intent = engine.on_market(Moment(late_ns), book, late_ns)
    assert intent is not None
    assert intent.targets.target_weights == (0.1,)

    unquoted = TargetFileEngine(path, {})
    assert unquoted.on_market(Moment(start_ns), book, start_ns) is None
    end_ns = start_ns + QUOTE_PATIENCE_NS
    assert unquoted.on_market(Moment(end_ns), book, end_ns) is not None  # the gate denies it


def test_a_row_that_comes_back_is_traded_again(tmp_path: Path) -> None:
    """From A to B to A: three decisions, in one process or in three; none twice."""
    path, book = tmp_path / "targets.yaml", Book("USD", 10**14)
    instrument = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")
    quotes = {"US.A": Quote.from_price(instrument, 10.0, DUE_NS)}

    def write(weight: float) -> None:
        path.write_text(TEXT.replace("0.1", str(weight)))

    def asked(engine: TargetFileEngine, weight: float) -> list[str]:
        write(weight)
        found = [engine.on_market(Moment(now), book, now) for now in (DUE_NS, DUE_NS + 1)]
        return [intent.targets.decision_id for intent in found if intent is not None]

    weights = (0.1, 0.25, 0.1, 0.25, 0.125)
    write(weights[0])
    one = TargetFileEngine(path, quotes)
    story = [asked(one, weight) for weight in weights]
    told = [name for names in story for name in names]
    assert [len(names) for names in story] == [1] * 5
    assert len(set(told)) == 5

    # Each decision by a process of its own, and by another that finds it on record.
    for weight, name in zip(weights, told, strict=True):
        write(weight)
        assert asked(TargetFileEngine(path, quotes), weight) == [name]
        book.apply(decision_taken(name, weight))
        book.apply(decision_taken(f"{name}/1", weight))  # and is worked in slices
        assert asked(TargetFileEngine(path, quotes), weight) == [name]
    late = TargetFileEngine(path, quotes)
    assert asked(late, weights[-1]) == [told[-1]]
    del book.decisions[told[0]]  # what ended long ago leaves the memory
    assert asked(late, weights[-1]) == []
    assert asked(late, 0.5) != []


def test_a_row_that_had_left_memory_is_traded_again_when_it_is_put_back(tmp_path: Path) -> None:
    """The trader was down longer than what has ended stays in memory; an unchanged file is not."""
    path, book, told = tmp_path / "targets.yaml", Book("USD", 10**14), list[str]()
    instrument = Instrument(instrument_id="US.A", asset_class="equity", currency="USD")
    quotes = {"US.A": Quote.from_price(instrument, 10.0, DUE_NS)}
    gone = set[str]()

    def asked(weight: float) -> str:
        """Return what a new process decides on these weights."""
        path.write_text(TEXT.replace("0.1", str(weight)))
        engine = TargetFileEngine(path, quotes, told.append, gone.__contains__)
        intent = engine.on_market(Moment(DUE_NS), book, DUE_NS)
        assert intent is not None
        return intent.targets.decision_id

    names = list[str]()
    for weight in (0.1, 0.25, 0.5, 0.1):
        name = asked(weight)
        assert name not in names
        names.append(name)
        book.apply(decision_taken(name, weight))
        assert asked(weight) == name
        event = retirement(book, DUE_NS + 1, DUE_NS + 1)
        if event is not None:
            book.apply(event)
            gone.update(event.decision_ids)
        assert asked(weight) == name
    assert gone == set(names[:2])
    assert told == []

    # A log in which all of them had left memory before any was kept.
    gone.update(names)
    book.decisions.clear()
    assert asked(0.25) == names[1]
    assert told == [
        f"the row of {path} that is due was traded long ago: "
        "give it a later `at` to have it traded again"
    ]


def decision_taken(decision_id: str, weight: float) -> ev.DecisionTaken:
    return ev.DecisionTaken(
        event_id=ev.make_event_id("DecisionTaken", decision_id),
        time_ns=DUE_NS,
        correlation_id=decision_id,
        lineage=Lineage(decision_id=decision_id, session="2001-09-09"),
        instrument_ids=("US.A",),
        target_weights=(weight,),
    )


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
