"""Which versions of tables something on record has read: they must stay readable for ever."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from swarm_core.events import DecisionTaken, RecordedEvent


class Cards(Protocol):
    def versions(self, name: str) -> Iterable[Mapping[str, object]]: ...


class Log(Protocol):
    def read(self, after_sequence: int = 0) -> Iterable[RecordedEvent]: ...


Pins = dict[str, set[int]]


def pinned_versions(
    log: Log, cards: Cards, model_names: Iterable[str], trials: Iterable[Mapping[str, object]]
) -> Pins:
    """Return, by table, the versions that decisions, models and backtests were made from."""
    pins: Pins = defaultdict(set)
    for recorded in log.read():
        if isinstance(recorded.event, DecisionTaken):
            lineage = recorded.event.lineage
            _pin(pins, (*lineage.clean_versions, *lineage.raw_versions))
            if lineage.feature_table_version:
                pins["features"].add(int(lineage.feature_table_version))
    for name in model_names:
        for entry in cards.versions(name):
            card: Any = entry["card"]
            read = card.get("table_versions", {}).items()
            _pin(pins, [f"{table}@{version}" for table, version in read])
    for record in trials:
        _pin(pins, [text for text in str(record.get("data", "")).split(",") if text])
    return dict(pins)


def model_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the models that a registry's folder holds."""
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir())) if folder.is_dir() else ()


def _pin(pins: Pins, texts: Iterable[str]) -> None:
    for text in texts:
        table, at, version = text.rpartition("@")
        if at and version.isdigit():
            pins[table].add(int(version))
