"""The last session comes out again to the bit, and whatever does not is named."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.parity import FILLS, SESSION_REPEATS, compare
from assets.pinned_tables import PinnedTables, versions_of
from assets.session_rerun import last_decided, rerun_session
from assets.trading_floor import STATES
from pipelines.definitions import defs
from swarm_core import events as ev
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import simple_venue
from swarm_core.lineage import Lineage
from tests.pipelines.homes import Home, open_home, ports_of
from tests.pipelines.market_files import market_rows, write_market

pytestmark = pytest.mark.xdist_group("parity")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after one run of the whole chain."""
    path = tmp_path_factory.mktemp("parity")
    mapping = write_market(path / "data", market_rows())
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch) as home,
    ):
        home.chain.whole(home.windows)
        yield home


def _taken(home: Home) -> ev.DecisionTaken:
    log: Any = home.workshop.get("log")
    taken = last_decided(list(log.read()))
    assert taken is not None
    return taken


def _parity(home: Home, **changes: Any) -> Any:
    desk: Any = home.workshop.get("desk")
    return compare(rerun_session(desk, ports_of(home, **changes), _taken(home)))


def test_the_last_session_comes_out_again_to_the_bit(traded: Home) -> None:
    """Features, forecasts, decision in both paths, orders and fills; nothing is written."""
    log: Any = traded.workshop.get("log")
    before = log.last_sequence()
    found = _parity(traded)
    assert found.differences.is_empty(), found.differences
    assert all(count > 0 for count in found.compared.values()), found.compared
    assert log.last_sequence() == before


def test_the_check_passes_in_its_job(traded: Home) -> None:
    result = defs.resolve_job_def("parity_job").execute_in_process(instance=traded.instance)
    (evaluated,) = result.get_asset_check_evaluations()
    assert (evaluated.check_name, evaluated.passed) == (SESSION_REPEATS, True)


def test_what_came_after_the_session_is_not_compared_with_it(traded: Home) -> None:
    """The session after it was opened, filled, and blocked by its checks: it took no decision."""
    log: Any = traded.workshop.get("log")
    events = list(log.read())
    opened = [e for e in events if isinstance(e.event, ev.SessionOpened)][-1]
    filled = [e for e in events if isinstance(e.event, ev.OrderFilled)][-1]

    class Longer:
        def read(self) -> list[ev.RecordedEvent]:
            following = opened._replace(event=replace(opened.event, session="2999-01-02"))
            return [*events, following, filled]

    assert _parity(traded, log=Longer()).differences.is_empty()


class _Tables:
    """The table store with one table's rows changed on the way out."""

    def __init__(self, tables: Any, table: str, change: Any) -> None:
        self._tables, self._table, self._change = tables, table, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)

    def read(self, table: str, **asked: Any) -> pl.DataFrame:
        rows = self._tables.read(table, **asked)
        return rows.with_columns(self._change) if table == self._table else rows


def test_a_raw_price_that_was_changed_shows_in_everything_after_it(traded: Home) -> None:
    """Features differ, so do forecasts or decision; the first difference is named."""
    tables = traded.workshop.get("tables")
    one = pl.col("instrument_id") == pl.col("instrument_id").min()
    changed = pl.when(one).then(pl.col("close") * 1.001).otherwise(pl.col("close")).alias("close")
    found = _parity(traded, tables=_Tables(tables, "clean_bars", changed))
    kinds = set(found.differences["kind"])
    assert {"features", "decisions", "compiled_decisions"} <= kinds


def test_a_forecast_that_is_not_the_models_is_told(traded: Home) -> None:
    """What is on record is compared with what the registered model says now."""
    tables = _Tables(traded.workshop.get("tables"), "forecasts", pl.col("forecast") + 0.5)
    found = _parity(traded, tables=tables)
    assert "forecasts" in set(found.differences["kind"])


def test_another_fill_price_is_told_and_only_that(traded: Home) -> None:
    """A venue that filled elsewhere differs in fills, and the check is then a warning."""
    open_broker: Any = traded.workshop.get("open_broker")

    def dearer(*given: Any, **asked: Any) -> Any:
        return open_broker(*given, **asked | {"venue": simple_venue(1.0, 27.0)})

    found = _parity(traded, open_broker=dearer)
    assert FILLS in set(found.differences["kind"])
    assert "features" not in set(found.differences["kind"])


def test_a_session_of_before_a_change_of_settings_comes_out_again_by_those_of_then(
    traded: Home,
) -> None:
    desk: Any = traded.workshop.get("desk")
    other = replace(desk, colony=ColonySettings(scouts_max=200))
    found = compare(rerun_session(other, ports_of(traded), _taken(traded)))
    assert found.differences.is_empty(), found.differences


def test_a_lost_state_is_one_line(traded: Home) -> None:
    class Empty:
        def find(self, space: str, key: str) -> bytes | None:
            return None

    with pytest.raises(ValueError, match=r"state after .* must be stored, was not"):
        _parity(traded, hot=Empty())


def test_another_state_is_refused(traded: Home) -> None:
    hot: Any = traded.workshop.get("hot")
    sessions = sorted(hot.read(STATES))

    class Wrong:
        def find(self, space: str, key: str) -> bytes | None:
            return hot.find(space, sessions[0])

    assert zlib.decompress(hot.find(STATES, sessions[0]))
    with pytest.raises(ValueError, match="must have the digest"):
        _parity(traded, hot=Wrong())


def test_pinned_tables_read_what_the_lineage_names_and_are_not_written() -> None:
    lineage = Lineage(
        decision_id="d",
        session="2020-01-02",
        feature_table_version="7",
        clean_versions=("clean_bars@3",),
        raw_versions=("raw_bars@9",),
    )
    assert versions_of(lineage) == {"features": 7, "clean_bars": 3, "raw_bars": 9}

    class Asked:
        def read(self, table: str, **asked: Any) -> Any:
            return table, asked["version"]

        def version(self, table: str) -> int:
            return 99

    pinned = PinnedTables(Asked(), versions_of(lineage))  # type: ignore[arg-type]  # only reads
    assert pinned.read("clean_bars") == ("clean_bars", 3)
    assert pinned.read("news") == ("news", None)
    assert (pinned.version("features"), pinned.version("news")) == (7, 99)
    with pytest.raises(TypeError, match="must not be written to"):
        pinned.append("features", pl.DataFrame(), key=())
    with pytest.raises(ValueError, match="TABLE@NUMBER"):
        versions_of(Lineage(decision_id="d", session="s", clean_versions=("clean_bars",)))


def test_without_a_decision_there_is_nothing_to_run_again() -> None:
    assert last_decided([]) is None
    assert isinstance(defs.resolve_job_def("parity_job"), dg.JobDefinition)
