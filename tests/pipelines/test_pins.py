"""Pins: every version that something on record has read is known, and kept."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from adapters.stores.cold_upkeep import ColdUpkeep
from adapters.stores.tables_delta import DeltaTableStore
from pipelines.pins import pinned_versions
from pipelines.tier_settings import ColdRules
from pipelines.upkeep import DeskUpkeep
from swarm_core.events import DecisionTaken, RecordedEvent
from swarm_core.lineage import Lineage
from tests.adapters.stores.test_tables_delta import DAY, KEY, NOON, make_rows


class OneDecision:
    """A log of one decision."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage

    def read(self, after_sequence: int = 0) -> Iterable[RecordedEvent]:
        event = DecisionTaken(
            event_id="e", time_ns=1, lineage=self._lineage, instrument_ids=(), target_weights=()
        )
        return [RecordedEvent(1, event, "", "")]


class OneModel:
    """A registry of one model."""

    def versions(self, name: str) -> Iterable[Mapping[str, object]]:
        return [{"version": "v", "card": {"table_versions": {"features": 4, "clean_bars": 2}}}]


def make_lineage() -> Lineage:
    return Lineage(
        decision_id="d",
        session="2024-01-02",
        feature_table_version="7",
        clean_versions=("clean_bars@3",),
        raw_versions=("raw_bars@9",),
    )


def test_decisions_models_and_backtests_pin_what_they_read() -> None:
    trials = [{"kind": "launched", "data": "features@5,forecasts@1"}, {"kind": "finished"}]

    pins = pinned_versions(OneDecision(make_lineage()), OneModel(), ["m"], trials)

    assert pins == {
        "features": {4, 5, 7},
        "clean_bars": {2, 3},
        "raw_bars": {9},
        "forecasts": {1},
    }


def test_upkeep_keeps_pins_and_names_those_that_are_broken(tmp_path: Path) -> None:
    store = DeltaTableStore(tmp_path)
    for day in range(10):
        store.append("bars", make_rows(float(day), first=NOON + day * DAY), key=KEY)
    upkeep = DeskUpkeep(store, ColdRules(compact_files_min=2), lambda: {"bars": {4}, "gone": {0}})

    (report,) = upkeep.keep()
    ColdUpkeep(store, floor=timedelta(0)).vacuum("bars", [4], retention=timedelta(0))

    assert report.kept_versions == (4,)
    assert store.read("bars", version=4).height == 5
    assert upkeep.broken_pins() == ("gone@0",)
