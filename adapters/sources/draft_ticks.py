"""Bars that are drawn of a file's ticks, or put in the middle of its bars of bid and ask."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from adapters.sources.draft import Answers, Draft
from adapters.sources.mapping import Field, MappingError, TableMapping
from adapters.sources.mapping_series import Drawn

_MIDDLE = (
    "are bars to be drawn from the middle of bid and ask? nothing is traded by quotes alone, and "
    "no prices stand beside them; write --quotes mid, or --quotes alone"
)


_NEGATIVE = (
    "are its negative prices the middle of bid and ask on days without a trade, as CRSP writes "
    "them? write --quotes mid to take it for the close, or --quotes alone to put such days aside"
)


def bars_of_ticks(draft: Draft, ticks: TableMapping, answers: Answers) -> list[TableMapping]:
    """Return the table of the bars of a table of trades or quotes, if there is to be one.

    Raises MappingError with what only the user can say.
    """
    columns = {name: field for name, field in ticks.columns.items() if name != "interval"}
    if draft.table == "trades":
        drawn = Drawn(of="trades", interval="1d" if draft.stamps.days_only else "1m")
        return [replace(ticks, table="bars", drawn=drawn, columns=columns)]
    if answers.quotes is None:
        raise MappingError(_MIDDLE)
    if answers.quotes == "alone":
        return []
    if draft.has_ranges:
        return [replace(ticks, table="bars", columns=_of_sides(draft, ticks))]
    drawn = Drawn(of="mid", interval=draft.stamps.interval)
    return [replace(ticks, table="bars", drawn=drawn, columns=columns)]


def middle_entries(
    draft: Draft, entries: Mapping[str, Any], answers: Answers
) -> dict[str, dict[str, Field]]:
    """Return the columns of bars whose negative closes are the middle of quotes, as the user says.

    Empty where the file has none; raises MappingError where it has and nothing is said.
    """
    if not draft.negative_closes:
        return {}
    if answers.quotes is None:
        raise MappingError(_NEGATIVE)
    how = "unsigned" if answers.quotes == "mid" else "rejected"
    fields: dict[str, Field] = entries["columns"]
    return {"columns": {**fields, "close": replace(fields["close"], negative=how)}}


def _of_sides(draft: Draft, table: TableMapping) -> dict[str, Field]:
    """Return the columns of bars in the middle of bars of the bid and of the ask."""
    sides = {price: (f"bid_{price}", f"ask_{price}") for price in ("open", "high", "low")}
    prices = {
        price: Field(mean_of=tuple(draft.columns[side] for side in pair))
        for price, pair in {**sides, "close": ("bid", "ask")}.items()
        if draft.columns.keys() >= set(pair)
    }
    told = {name: table.columns[name] for name in ("interval", "currency") if name in table.columns}
    if "volume" in draft.columns:
        told["volume"] = Field(column=(draft.columns["volume"],))
    return {**prices, **told, "adjustment": Field(constant="raw")}
