"""The whole chain on a small market: orders leave, repeat to the bit, and stop on bad data."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.readiness import next_session
from pipelines.chain import ChainStoppedError
from pipelines.colony_in_force import require_in_force
from pipelines.settings import SettingsError
from swarm_core import events as ev
from swarm_core.colony.settings import ColonySettings
from swarm_core.limit_record import limits_in_force
from swarm_core.replay import replay
from swarm_core.trading_state import TradingState
from tests.pipelines import colony_changes as changes
from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import market_rows, write_market
from tests.trader.homes import book_of, log_of, run_to_end, write_config

pytestmark = pytest.mark.xdist_group("chain")
DERIVED = ("decisions", "decision_contributions", "trails", "regimes", "orders", "fills", "nav")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after one run of the whole chain."""
    path = tmp_path_factory.mktemp("traded") / "a höme #1"  # as people name their folders
    path.mkdir()
    mapping = write_market(path / "data", market_rows())
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch) as home,
    ):
        home.chain.whole(home.windows)
        yield home


def _rows(home: Home, table: str) -> pl.DataFrame:
    rows: Any = home.workshop.get("rows")
    return rows.query(table)


def _changed_inputs(home: Home) -> object:
    """Return what the newest run of the decisions says of sessions that differ when repeated."""
    told = home.instance.get_latest_materialization_event(dg.AssetKey("decisions"))
    assert told is not None
    assert told.asset_materialization is not None
    return told.asset_materialization.metadata["sessions_whose_inputs_changed"].value


def test_orders_are_approved_sent_and_filled(traded: Home) -> None:
    orders, fills = _rows(traded, "orders"), _rows(traded, "fills")
    assert orders.filter(pl.col("status") == "filled").height > 0
    assert fills.height > 0
    assert set(fills["order_id"]) <= set(orders.filter(pl.col("verdict") == "approved")["order_id"])


def test_the_books_balance_exactly_and_nav_is_the_ledgers(traded: Home) -> None:
    from swarm_core.book import book_from_events

    log: Any = traded.workshop.get("log")
    book = book_from_events(log.read(), "USD", 1_000_000)
    assert book.ledger.find_imbalance() is None
    assert log.verify().sound


def test_the_limits_of_the_first_decision_stand_in_the_log_and_no_file_loosens_them(
    traded: Home,
) -> None:
    """A desk that never ran the trader had none on record, so a looser file counted unsigned."""
    log: Any = traded.workshop.get("log")
    desk: Any = traded.workshop.get("desk")
    told = [r.event for r in log.read() if isinstance(r.event, ev.LimitsChanged)]

    assert [(c.limits, c.actor, c.by_person) for c in told] == [
        (desk.limits, "the limits file", False)
    ]
    looser = replace(desk.limits, gross_fraction_max=desk.limits.gross_fraction_max * 2)
    force, refused = limits_in_force(told[-1].limits, looser)
    assert force == desk.limits
    assert "gross_fraction_max" in refused


def test_a_fill_comes_after_its_decision(traded: Home) -> None:
    joined = _rows(traded, "fills").join(
        _rows(traded, "orders").select("order_id", ordered=pl.col("event_time")), on="order_id"
    )
    assert (joined["event_time"] > joined["ordered"]).all()


def test_running_the_same_partitions_again_changes_nothing(traded: Home) -> None:
    log: Any = traded.workshop.get("log")
    tables: Any = traded.workshop.get("tables")
    before = {name: _rows(traded, name) for name in DERIVED}
    events = sum(1 for _ in log.read())
    versions = {name: tables.version(name) for name in ("raw_bars", "clean_bars", "features")}
    traded.chain.whole(traded.windows)
    assert _changed_inputs(traded) == "none"
    assert sum(1 for _ in log.read()) == events
    assert {name: tables.version(name) for name in versions} == versions
    for name, rows in before.items():
        assert _rows(traded, name).equals(rows), name


def test_decided_sessions_repeat_to_the_bit_when_the_file_says_other_settings(
    traded: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one too, which no earlier state tells the settings of."""
    desk: Any = traded.workshop.get("desk")
    colony = ColonySettings.from_mapping({"worker": {"gross_max": 0.5}})
    assert colony.digest() != desk.colony.digest()
    monkeypatch.setitem(traded.workshop._built, "desk", replace(desk, colony=colony))
    log: Any = traded.workshop.get("log")
    events = sum(1 for _ in log.read())
    rows = {name: _rows(traded, name) for name in ("decisions", "trails")}
    traded.chain.whole(traded.windows)
    assert _changed_inputs(traded) == "none"
    assert sum(1 for _ in log.read()) == events
    assert all(_rows(traded, name).equals(before) for name, before in rows.items())


def test_settings_that_nobody_put_in_force_are_told_before_anything_is_run(
    traded: Home, tmp_path: Path
) -> None:
    """A newer version's defaults, say: what is decided can be run again, what comes next not."""
    file = tmp_path / "colony.yaml"
    file.write_text("worker: {gross_max: 0.5}\n")
    settings, last = traded.workshop.settings, traded.windows.decisions.end
    other = settings.model_copy(update={"colony": file})
    decided = _rows(traded, "decisions")["session"].max()
    assert isinstance(decided, date)
    require_in_force(other, decided)
    require_in_force(settings, last + timedelta(days=7))
    with pytest.raises(SettingsError, match="the colony's settings must be those it decided by"):
        require_in_force(other, last + timedelta(days=7))


def test_a_decided_session_is_not_asked_for_again(traded: Home) -> None:
    built = traded.workshop
    asked = next_session(built.get("desk"), built.get("tables"), built.get("log"))  # type: ignore[arg-type]
    assert asked.session is None
    assert "is decided" in asked.reason


def test_an_order_is_explained_down_to_its_raw_rows(traded: Home) -> None:
    queries = traded.workshop.lineage()
    tree = queries.explain_order(queries.order_ids()[-1])
    text = tree.to_json()
    for kind in ("decision", "features", "files/market/daily", "source_row"):
        assert kind in text
    bars = tree.find("raw_rows")
    assert bars is not None
    newest = bars.rows[-1]
    header, *lines = Path(str(newest["file"])).read_text().splitlines()
    cells = lines[int(str(newest["file_row"]))].split(",")
    row = dict(zip(header.split(","), cells, strict=True))
    assert f"US.{row['symbol']}" == tree.facts["instrument"]
    assert float(row["close"]) == newest["close"]
    missing = {node.title for node in tree.walk() if node.kind == "missing"}
    # This market has neither macro series nor news, and the tree says so.
    assert missing == {"there is no table clean_macro", "there is no table clean_news"}


def test_the_trader_decides_and_fills_as_the_scheduled_decision_did(
    traded: Home, tmp_path: Path
) -> None:
    """`apiary trade` without Dagster on the same tables: the same decisions, states and fills."""
    first, last = traded.windows.decisions.start, traded.windows.decisions.start + timedelta(12)
    tables = str(traded.workshop.home)
    config = write_config(
        tmp_path,
        calendar="auto",
        base_currency="auto",
        asset_classes=[],
        trade={
            "feed": {"kind": "replay", "home": tables, "start": str(first), "end": str(last)},
            "engine": {"kind": "colony", "home": tables},
            "broker": {"kind": "simulated"},
        },
    )

    run_to_end(config)

    log: Any = traded.workshop.get("log")
    scheduled, live = _decided(log.read()), _decided(log_of(config))
    assert len(live) >= 8
    assert live.items() <= scheduled.items()
    fills = _filled(log_of(config))
    assert fills
    assert fills == {k: v for k, v in _filled(log.read()).items() if k in fills}


def _decided(events: Iterable[ev.RecordedEvent]) -> dict[str, tuple[str, str]]:
    taken = [r.event.lineage for r in events if isinstance(r.event, ev.DecisionTaken)]
    return {
        lineage.session: (lineage.decision_id, lineage.colony_state_digest) for lineage in taken
    }


def test_a_colony_in_use_goes_by_other_settings_from_a_persons_word_on(
    traded: Home, tmp_path: Path
) -> None:
    """Shown, refused until it is signed off, then carried over; and the same again to the bit."""
    config = changes.write_trader(tmp_path / "desk", traded, 6, changes.BEFORE)
    unused = changes.colony_command(config, "show")
    assert "nothing is decided yet" in unused.stdout
    run_to_end(config)
    before = changes.decided(config)
    assert len(before) >= 4

    config = changes.write_trader(tmp_path / "desk", traded, 12, changes.AFTER)
    shown = changes.colony_command(config, "show").stdout.splitlines()
    assert shown[0].startswith(f"{len(before)} bars decided, the last by settings ")
    assert "the file, once applied, would change worker.gross_max: 1.5 -> 1.0" in shown
    assert "the file, once applied, would change trust.memory_slots: 4 -> 3" in shown

    refused = changes.copy_of(config, tmp_path / "refused", traded, 12, changes.AFTER)
    run_to_end(refused)
    assert changes.decided(refused) == before
    assert book_of(refused).trading_state is TradingState.HALTED
    halts = [r.event for r in log_of(refused) if isinstance(r.event, ev.TradingStateChanged)]
    assert "`apiary colony apply --by NAME --reason TEXT` puts others in force" in halts[-1].reason

    twin = changes.copy_of(config, tmp_path / "twin", traded, 12, changes.AFTER)
    for desk in (config, twin):
        applied = changes.colony_command(desk, "apply", "--by", "anna", "--reason", "less gross")
        assert applied.returncode == 0, applied.stderr
        assert "changed: worker.gross_max: 1.5 -> 1.0" in applied.stdout.splitlines()
        (change,) = changes.changes_of(desk)
        assert (change.actor, change.reason) == ("anna", "less gross")
        told = changes.colony_command(desk, "show").stdout
        assert "by anna: less gross (" in told
        assert "the next decision changes worker.gross_max: 1.5 -> 1.0" in told
        run_to_end(desk)

    after = changes.decided(config)
    assert before.items() < after.items()
    assert len(after) >= len(before) + 3
    assert changes.decided(twin) == after
    first, last = min(set(after) - set(before)), max(after)
    assert changes.state_after(config, max(before)).settings_digest == change.digest_before
    for session in (first, last):
        state = changes.state_after(config, session)
        assert state.settings_digest == change.digest_after
        assert len(state.trust.memory) == 3
    assert changes.state_after(config, first).steps == len(before) + 1
    assert replay(log_of(config), "USD", 1_000_000).first_difference is None


@pytest.mark.parametrize(
    ("colony", "words", "said"),
    [
        (changes.BEFORE, (), "settings must differ from those in force"),
        ({"worker": {"gross_max": -1}}, (), "gross_max must be between 0"),
        ({"worker": {"gros_max": 1}}, (), "gros_max"),
        ({"instruments_max": 1}, (), "instruments"),
        (changes.AFTER, ("--by", " "), "actor and reason of changed colony settings must be given"),
    ],
)
def test_a_change_of_the_colony_that_does_not_hold_is_one_line_and_changes_nothing(
    traded: Home, tmp_path: Path, colony: object, words: tuple[str, ...], said: str
) -> None:
    config = _decided_once(traded, tmp_path)
    config = changes.write_trader(config.parent, traded, 1, colony)
    count = len(log_of(config))
    told = changes.colony_command(config, "apply", "--by", "anna", "--reason", "why", *words)
    assert told.returncode == 1
    assert said in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
    assert len(log_of(config)) == count


def _decided_once(traded: Home, tmp_path: Path) -> Path:
    """Return a trader's home after its first days, copied from one that all cases share."""
    shared = traded.path / "decided_once" / "apiary.yaml"
    if not shared.is_file():
        run_to_end(changes.write_trader(shared.parent, traded, 2, changes.BEFORE))
        assert changes.decided(shared)
    return changes.copy_of(shared, tmp_path / "desk", traded, 1, changes.BEFORE)


def _filled(events: Iterable[ev.RecordedEvent]) -> dict[str, tuple[int, int, int]]:
    fills = [r.event for r in events if isinstance(r.event, ev.OrderFilled)]
    return {f.execution_id: (f.time_ns, f.lots, f.price_ticks) for f in fills}


def test_the_report_is_one_page_that_needs_no_network(traded: Home) -> None:
    page = (traded.workshop.home / "report" / "index.html").read_text()
    assert "Equity" in page
    assert "<script src=" not in page
    assert '<link rel="stylesheet" href="http' not in page


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Open a home on a market with a defect."""

    def open_broken(rows: pl.DataFrame) -> Any:
        mapping = write_market(tmp_path / "data", rows)
        return open_home(tmp_path, tmp_path / "data", mapping, monkeypatch)

    return open_broken  # type: ignore[return-value]  # a factory


def test_no_order_leaves_when_the_newest_prices_are_in_the_wrong_unit(broken: Any) -> None:
    rows = market_rows()
    newest = pl.col("date") == rows["date"].max()
    prices = ["open", "high", "low", "close"]
    wrong = rows.with_columns(
        pl.when(newest).then(pl.col(c) * 100).otherwise(pl.col(c)).alias(c) for c in prices
    )
    with broken(wrong) as home:
        with pytest.raises(ChainStoppedError, match=r"clean_bars: passes_blocking_rules failed"):
            home.chain.whole(home.windows)
        log: Any = home.workshop.get("log")
        assert not [r for r in log.read() if type(r.event).__name__.startswith("Order")]


def test_a_decision_started_by_hand_is_held_back_after_a_failed_check(broken: Any) -> None:
    with broken(market_rows()) as home:
        home.chain.history(home.windows)
        home.chain.learn(home.windows)
        tables: Any = home.workshop.get("tables")
        status = tables.read("data_status_bars")
        failed = status.with_columns(passed=pl.lit(False), reasons=pl.lit("a test failed it"))
        low, high = status["event_time"].min(), status["event_time"].max()

        tables.replace("data_status_bars", failed, start=low, end=high + timedelta(days=40))
        session = home.chain._sessions(home.windows)[0]
        with pytest.raises(ChainStoppedError, match="a test failed it"):
            home.chain.run("swarm_decision_job", first=session, last=session)
        log: Any = home.workshop.get("log")
        kinds = {type(r.event).__name__ for r in log.read()}
        assert "DataCheckFailed" in kinds
        assert not any(kind.startswith("Order") for kind in kinds)


def test_no_order_leaves_when_the_online_features_differ_from_the_table(broken: Any) -> None:
    with broken(market_rows()) as home:
        home.chain.history(home.windows)
        home.chain.learn(home.windows)
        tables: Any = home.workshop.get("tables")
        online: Any = home.workshop.get("feature_store")
        rows = tables.read("features")
        newest = rows.filter(pl.col("event_time") == rows["event_time"].max())
        online.push_online(newest.with_columns(pl.col("mom_21d") + 1.0))
        session = home.chain._sessions(home.windows)[-1]
        with pytest.raises(ChainStoppedError, match=r"must equal the feature table.*mom_21d"):
            home.chain.run("swarm_decision_job", first=session, last=session)
        log: Any = home.workshop.get("log")
        kinds = {type(r.event).__name__ for r in log.read()}
        assert "DataCheckFailed" in kinds
        assert not any(kind.startswith("Order") for kind in kinds)
        online.push_online(newest)  # the true rows again: now the session is decided
        home.chain.run("swarm_decision_job", first=session, last=session)
        assert _rows(home, "decisions").height > 0


def test_one_bad_row_is_put_aside_and_its_instrument_is_not_traded_that_day(broken: Any) -> None:
    rows = market_rows()
    days = rows["date"].unique().sort()
    bad_day = days[-30]
    spoiled = (pl.col("date") == bad_day) & (pl.col("symbol") == "ELK")
    wrong = rows.with_columns(
        pl.when(spoiled).then(pl.col("high") * 0.5).otherwise(pl.col("high")).alias("high")
    )
    with broken(wrong) as home:
        home.chain.whole(home.windows)
        tables: Any = home.workshop.get("tables")
        aside = tables.read("quarantine_bars")
        assert aside.filter(pl.col("event_time").dt.date() == bad_day).height == 1
        orders = _rows(home, "orders").filter(
            (pl.col("instrument_id") == "US.ELK") & (pl.col("session") == bad_day)
        )
        assert orders.filter(pl.col("verdict") == "approved").height == 0
