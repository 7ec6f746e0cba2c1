"""Corporate actions near a jump: what was announced, and what move it would make."""

import math
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

_DAY_US = int(timedelta(days=1).total_seconds() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Action:
    """One announced action: when it takes effect (microseconds), its ratio and amount."""

    time: int
    kind: str
    ratio: float
    amount: float


class ActionBook:
    """The corporate actions by instrument, looked up by time."""

    def __init__(self, actions: pl.DataFrame | None) -> None:
        self._by_instrument: dict[str, list[Action]] = {}
        if actions is None or actions.is_empty():
            return
        columns = ("instrument_id", "event_time", "kind", "ratio", "amount")
        present = [pl.col(c) if c in actions.columns else pl.lit(None).alias(c) for c in columns]
        rows = actions.select(present).with_columns(pl.col("event_time").to_physical())
        for instrument, time, kind, ratio, amount in rows.iter_rows():
            self._by_instrument.setdefault(instrument, []).append(
                Action(time, kind, float(ratio or math.nan), float(amount or math.nan))
            )

    def knows_splits(self, instrument: str) -> bool:
        """Return whether any split of the instrument is recorded."""
        return any(action.kind == "split" for action in self._by_instrument.get(instrument, []))

    def near(self, instrument: str, time: int, kinds: tuple[str, ...], days: int) -> list[Action]:
        """Return the instrument's actions of these kinds within `days` of a moment."""
        return [
            action
            for action in self._by_instrument.get(instrument, [])
            if action.kind in kinds and abs(action.time - time) <= days * _DAY_US
        ]
