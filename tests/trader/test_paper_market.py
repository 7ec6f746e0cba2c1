"""Paper trading in markets with daily settlement and price limits, as the backtest has them."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from swarm_core import events as ev
from swarm_core.frictions.price_limits import PriceLimits
from swarm_core.market import Bar
from tests.trader.homes import OPEN, book_of, log_of, make_home, run_to_end
from trader.price_bands import PriceBands

DAY_NS = 86_400 * 10**9


def bar(day: int, close: int, minute: int = 1) -> Bar:
    return Bar(instrument_id="US.A", time_ns=day * DAY_NS + minute * 60 * 10**9, close_ticks=close)


def bands(changed: frozenset[str] = frozenset()) -> PriceBands:
    return PriceBands(
        PriceLimits(Decimal("0.1")), lambda ns: f"{ns // DAY_NS:04}", lambda *_: changed
    )


def test_bars_are_bounded_by_the_close_of_the_session_before() -> None:
    told = bands()

    shown = [told.bounded(b) for b in (bar(1, 900), bar(1, 1_000, 9), bar(2, 1_050), bar(2, 1, 9))]

    limits = [(b.band_low_ticks, b.band_high_ticks) for b in shown]
    assert limits == [(None, None), (None, None), (900, 1_100), (900, 1_100)]


def test_a_split_leaves_no_close_to_bound_by() -> None:
    told = bands(frozenset({"US.A"}))

    shown = [told.bounded(b) for b in (bar(1, 1_000), bar(2, 500))]

    assert shown[1].band_low_ticks is None


def test_nobody_buys_at_limit_up_on_paper(tmp_path: Path) -> None:
    """The second day opens a tenth higher: the order of that day waits at the limit."""
    target = {"at": (OPEN + timedelta(days=1, minutes=6)).isoformat(), "weights": {"US.ANT": 0.05}}
    for limit, lots in ((0.05, 0), (0.5, 2_200)):
        folder = tmp_path / str(limit)
        config = make_home(folder)
        lines = ["instrument_id,time,open_time,open,high,low,close,volume"]
        for day, price in ((0, 20.0), (1, 22.0)):
            for number in range(12):
                opens = OPEN + timedelta(days=day, minutes=5 * number)
                cells = ("US.ANT", opens + timedelta(minutes=5), opens, *[price] * 4, 200_000)
                lines.append(",".join(map(str, cells)))
        (folder / "bars.csv").write_text("\n".join(lines) + "\n")
        (folder / "targets.yaml").write_text(f"targets: [{target}]\n".replace("'", '"'))
        text = config.read_text()
        config.write_text(text + f"book:\n  venue: {{price_limit_fraction: {limit}}}\n")

        run_to_end(config)

        assert abs(book_of(config).lots("US.ANT") - lots) < 100


def test_futures_are_settled_at_each_close_on_paper(tmp_path: Path) -> None:
    """Their profit is cash when the session has closed, and the account agrees."""
    config = make_home(tmp_path)
    text = config.read_text().replace("asset_class: equity", "asset_class: future")
    config.write_text(text)

    said = run_to_end(config)

    settled = [r.event for r in log_of(config) if isinstance(r.event, ev.VariationSettled)]
    book = book_of(config)
    assert said.splitlines()[-1].startswith("active"), said
    assert {e.instrument_id for e in settled} >= {"US.ANT", "US.BEE"}
    assert book.ledger.find_imbalance() is None
    assert all(p.is_margined for p in book.ledger.positions.values())
