"""How the bars of an undescribed folder are adjusted, as its own splits and payments show."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

from adapters.sources.adjustment_clues import Adjustment, adjustment_of
from adapters.sources.draft import Draft
from adapters.sources.draft_patterns import with_patterns
from adapters.sources.files import FileSource
from adapters.sources.kept_frames import KeptFrames
from adapters.sources.mapping import Field, Mapping, MappingError, TableMapping

_EVER = (datetime(1700, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
# Prices written with fewer decimals make the factor step by rounding alone, each day.
_IMPLIED_DECIMALS = 4
_IMPLIED_SHARE = 0.06  # of the days: a monthly payer has one of 21; more steps are no payments
_PAYMENTS = (
    "are its prices adjusted for the payments that it lists? no split and no adjusted close shows "
    "it; write --adjustment raw, split or total_return"
)

Implied = Literal["on_previous_close", "splits_only"]
Made = list[tuple[Draft, list[TableMapping]]]


def with_adjustments(
    folder: Path, made: Made, given: Adjustment | None, kept: KeptFrames | None = None
) -> tuple[list[TableMapping], dict[str, list[str]]]:
    """Return the tables with the adjustment of their bars, and the questions that remain.

    The splits of the folder, in files of their own or in columns beside the prices, either show in
    the closes (raw) or do not (split). Payments beside prices that show neither, without an
    adjusted close, are asked about: a total return that is paid out again is money twice. Where
    there is an adjusted close and nothing else tells of actions, its steps are the actions.
    `given` is the user's word, `kept` holds what files held in earlier processes.
    """
    actions = [t for _, tables in made for t in tables if t.table == "corporate_actions"]
    questions: dict[str, list[str]] = {}
    adjusted: dict[str, Adjustment] = {}
    implied: dict[str, list[TableMapping]] = {}
    layouts: dict[tuple[object, ...], Made] = {}
    for draft, tables in made:
        if draft.table == "bars" and draft.unpivot is None:
            layouts.setdefault(_layout_of(draft), []).append((draft, tables))
    for alike in layouts.values():
        first, names = alike[0][0], [draft.relative for draft, _ in alike]
        bars = [table for _, tables in alike for table in tables if table.table == "bars"]
        try:
            if given is not None:
                adjusted |= dict.fromkeys(names, given)
            elif actions:
                adjusted |= dict.fromkeys(
                    names, _of_listed(_probe(folder, first, [*bars, *actions], kept), first)
                )
        except MappingError as error:
            questions.setdefault(str(error), []).extend(names)
        if "adj_close" in first.columns and not actions and given in (None, "raw", "split"):
            found, kind = _implied(folder, first, bars, kept)
            implied |= {names[0]: found}
            adjusted |= dict.fromkeys(names, given or kind)
    tables = [
        _of_adjustment(table, adjusted.get(draft.relative))
        for draft, tables in made
        for table in [*tables, *implied.get(draft.relative, [])]
    ]
    return tables, questions


def _layout_of(draft: Draft) -> tuple[object, ...]:
    return tuple(sorted(draft.columns.items())), draft.stamps.interval, draft.format


def _probe(
    folder: Path, first: Draft, tables: list[TableMapping], kept: KeptFrames | None
) -> FileSource:
    """Return the folder read by these tables, those that are alike as one: that is read at once.

    It is named after the layout: what is kept of one would else take the place of another's.
    """
    name = f"probe {sha256(repr(_layout_of(first)).encode()).hexdigest()[:12]}"
    mapping = Mapping(name=name, tables=with_patterns(folder, tables))
    return FileSource(folder, mapping, kept=kept)


def _of_listed(source: FileSource, first: Draft) -> Adjustment:
    listed = source.fetch("corporate_actions", *_EVER)
    shown = adjustment_of(source.fetch("bars", *_EVER), listed)
    pays = first.lists_actions and bool((listed["kind"] == "dividend").any())
    if shown != "raw" and pays and "adj_close" not in first.columns:
        raise MappingError(_PAYMENTS)
    return shown or "raw"


def _implied(
    folder: Path, first: Draft, bars: list[TableMapping], kept: KeptFrames | None
) -> tuple[list[TableMapping], Literal["raw", "split"]]:
    """Return the tables of the actions that the adjusted closes imply, and the bars' adjustment.

    Of coarsely written prices, whose rounding would be taken for payments, the splits alone, and
    only where the closes step with them.
    """
    if first.decimals < _IMPLIED_DECIMALS:
        source, tables = _with_implied(folder, first, bars, "splits_only", kept)
        splits = source.fetch("corporate_actions", *_EVER)
        try:
            shown = adjustment_of(source.fetch("bars", *_EVER), splits)
        except MappingError:  # some steps show in the closes: the others are roundings
            shown = None
        return (tables, "raw") if shown == "raw" else ([], "raw")
    source, tables = _with_implied(folder, first, bars, "on_previous_close", kept)
    found = source.fetch("corporate_actions", *_EVER)
    if found.height > _IMPLIED_SHARE * source.fetch("bars", *_EVER).height:
        return [], "raw"
    return tables, "raw" if (found["kind"] == "split").any() else "split"


def _with_implied(
    folder: Path, first: Draft, bars: list[TableMapping], how: Implied, kept: KeptFrames | None
) -> tuple[FileSource, list[TableMapping]]:
    """Return the bars with the actions that adjusted closes imply, and the tables of these."""
    columns = {name: Field(column=(first.columns[name],)) for name in ("close", "adj_close")}
    tables = [
        replace(table, table="corporate_actions", columns=columns, implied_actions=how)
        for table in bars
    ]
    return _probe(folder, first, [*bars, *tables], kept), tables


def _of_adjustment(table: TableMapping, adjustment: Adjustment | None) -> TableMapping:
    if table.table != "bars" or adjustment is None:
        return table
    constant = Field(constant=adjustment)
    return replace(table, columns={**table.columns, "adjustment": constant})
