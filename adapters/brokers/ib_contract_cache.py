"""Qualified contracts on disk: each with the day on which the broker named it, and not for ever."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ib_async import Contract

from adapters.brokers.ib_contract_units import ContractUnits

# What names a contract; the rest is how it was asked for.
_FIELDS = (
    "secType",
    "conId",
    "symbol",
    "lastTradeDateOrContractMonth",
    "strike",
    "right",
    "multiplier",
    "exchange",
    "primaryExchange",
    "currency",
    "localSymbol",
    "tradingClass",
)
# What a price of one is worth, and the smallest step of a price.
_UNITS = ("unit_multiplier", "unit_price_step")


@dataclass
class ContractCache:
    """Answers of the broker by question; one is asked for again after `days_max`, or once it ends.

    A file that cannot be read is set aside and begun anew: all in it can be asked for again.
    """

    path: Path
    today: Callable[[], date]
    days_max: int = 7
    _entries: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def __post_init__(self) -> None:
        if self.days_max < 0:
            raise ValueError(f"days_max must be >= 0, was {self.days_max}")
        if not self.path.is_file():
            return
        try:
            read = json.loads(self.path.read_text())
            self._entries = {str(key): dict(entry) for key, entry in read.items()}
        except (ValueError, TypeError, AttributeError):
            self.path.replace(self.path.with_suffix(".broken"))

    def find(self, asked: Contract) -> tuple[Contract, ContractUnits] | None:
        """Return what the broker answered to a question, where that is fresh enough."""
        entry = self._entries.get(_key(asked))
        if entry is None or not self._is_fresh(entry):
            return None
        units = ContractUnits(*(str(entry[name]) for name in _UNITS))
        return Contract.create(**{n: entry[n] for n in _FIELDS if n in entry}), units

    def _is_fresh(self, entry: dict[str, Any]) -> bool:
        try:
            asked_on = date.fromisoformat(str(entry["asked_on"]))
            ends = str(entry.get("lastTradeDateOrContractMonth", ""))[:8]
            if not entry.keys() >= set(_UNITS):
                return False  # an older release wrote it
            has_ended = len(ends) == 8 and date.fromisoformat(ends) < self.today()
        except (KeyError, ValueError):
            return False
        age = self.today() - asked_on
        return timedelta(0) <= age <= timedelta(days=self.days_max) and not has_ended

    def keep(self, asked: Contract, found: Contract, units: ContractUnits) -> None:
        """Write down an answer; the file is replaced whole, so that a crash leaves the old one."""
        values = {name: getattr(found, name) for name in _FIELDS if getattr(found, name)}
        told = zip(_UNITS, (units.multiplier, units.price_step), strict=True)
        day = self.today().isoformat()
        self._entries[_key(asked)] = {"asked_on": day, **values, **dict(told)}
        self._write()

    def forget(self, con_id: int) -> None:
        """Let go of the answers that name a contract by this number."""
        kept = {key: e for key, e in self._entries.items() if e.get("conId") != con_id}
        if len(kept) < len(self._entries):
            self._entries = kept
            self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_text(json.dumps(self._entries, indent=1, sort_keys=True))
        beside.replace(self.path)


def _key(asked: Contract) -> str:
    return "|".join(str(getattr(asked, name)) for name in _FIELDS)
