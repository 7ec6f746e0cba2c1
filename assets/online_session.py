"""The newest session's features as the online store serves them, compared with the table first."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from assets.ports import FeatureStore
from features.store.families import DECISION_SERVICE

_COMPARED_TIMES = ("event_time", "knowledge_time")


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """What a decision reads; `fault` says why it must not be decided on, empty where it may."""

    rows: pl.DataFrame
    fault: str


@dataclass(frozen=True, slots=True)
class OnlineSession:
    """Serves the newest session online; a session further back is no longer there.

    `newest` is the newest event_time of the whole feature table.
    """

    store: FeatureStore
    newest: datetime | None

    def serve(self, close: datetime, stored: pl.DataFrame) -> ServedFeatures:
        """Return the features of the instruments of `stored`, the table's rows of one session.

        The newest session comes from the online store, and is at fault where a value or a time
        differs from the table; any other session is served from the table.
        """
        if close != self.newest or stored.is_empty():
            return ServedFeatures(stored, "")
        ids = stored["instrument_id"].to_list()
        online = self.store.online(ids, DECISION_SERVICE)
        missing = [c for c in stored.columns if c not in (*online.columns, "as_of")]
        if missing:
            return ServedFeatures(stored, f"online features must include {missing}, did not")
        rows = online.with_columns(as_of=stored["as_of"]).select(stored.columns)
        differing = _differing(rows, stored)
        if differing:
            named = ", ".join(differing[:5])
            return ServedFeatures(
                rows,
                f"online features of {close:%Y-%m-%d} must equal the feature table, "
                f"{len(differing)} of {rows.width} columns differed: {named}",
            )
        return ServedFeatures(rows, "")


def _differing(online: pl.DataFrame, stored: pl.DataFrame) -> list[str]:
    """Return the columns in which any row differs; not-a-number and null are both not known."""
    names = [c for c in stored.columns if c != "as_of"]
    differing: list[str] = []
    for name in names:
        left, right = online[name], stored[name]
        if name not in _COMPARED_TIMES and right.dtype.is_float():
            left, right = left.fill_nan(None), right.fill_nan(None)
        if not left.equals(right.cast(left.dtype), null_equal=True):
            differing.append(name)
    return differing
