"""From what a file says of itself to the mapping of its table, and the questions that remain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from adapters.sources.action_drafts import NO_AMOUNT, action_entries
from adapters.sources.column_names import NAMES, plain_name
from adapters.sources.draft import TRADED, Answers, Draft
from adapters.sources.draft_patterns import glob_of
from adapters.sources.draft_series import value_name
from adapters.sources.draft_ticks import bars_of_ticks, middle_entries
from adapters.sources.file_names import FILE_NAME, file_stem, is_of_data
from adapters.sources.header_units import factor_of
from adapters.sources.listed_names import listing_of, option_among, venue_marks
from adapters.sources.mapping import (
    Condition,
    Field,
    Hours,
    Instrument,
    Knowledge,
    MappingError,
    TableMapping,
    TimeField,
)
from adapters.sources.market_clues import (
    CURRENCY_OF,
    HUNDREDTHS,
    Clue,
    DaysFit,
    calendar_of_days,
    currency_question,
)
from adapters.sources.name_days import undated
from adapters.sources.partitions import DAYS_OF_PATHS, partition_value
from adapters.sources.path_days import day_pattern
from adapters.sources.session_clues import (
    NEVER_RESTING,
    find_day_zone,
    left_of_bar,
    usual_open,
    zone_of_hours,
)

_MEASURES = {
    "quotes": ("bid", "ask", "bid_size", "ask_size"),
    "bars": ("open", "high", "low", "close", "volume", "currency"),
    "news": ("headline", "body"),
    "trades": ("price", "size", "currency"),
    "macro": ("series_id", "value"),
    "corporate_actions": ("currency",),
}
_DAILY = "1d"
# From so many days between its values on, a series is dated by periods that are not over then.
_WEEKLY_DAYS = 5
_PUBLISHED = (
    "how long after its day is a value published? it is of a period that begins or ends there, and "
    "no column says when it was made public; write --published 45d or another"
)
_NO_NAME = (
    "which series is it? neither its name nor a column says so: name the file by it (CPI.csv), or "
    "write series_id: in a mapping"
)


@dataclass(frozen=True, slots=True)
class SharedCalendar:
    """What the days of all unnamed files together say of their calendar."""

    fit: DaysFit
    days: int

    @property
    def question(self) -> str:
        """What to ask where no calendar shows."""
        fits = f"fit {' and '.join(self.fit.candidates)}" if self.fit.candidates else "fit none"
        asked = f"{self.days} days of, which {fits}" if self.days else "symbols of"
        return (
            f"which exchange are its {asked}? write --calendar XNYS, XLON, 24/7 or another "
            "name of exchange_calendars; several exchanges need a mapping"
        )


def shared_calendar(drafts: Sequence[Draft], answers: Answers) -> SharedCalendar:
    """Return the calendar of the files whose symbols say nothing of one."""
    moments = [
        draft.stamps.moments.cast(pl.Datetime("us"))
        for draft in drafts
        if draft.table in TRADED and any(c.calendar is None for c in draft.clues(answers))
    ]
    # All at once: to ask thousands of files one after the other takes longer than to read them.
    days: list[date] = (
        pl.concat(moments).drop_nulls().dt.date().unique().sort().to_list() if moments else []
    )
    return SharedCalendar(calendar_of_days(days), len(days))


def tables_of(
    draft: Draft,
    answers: Answers,
    shared: SharedCalendar,
    *,
    piece_of: str | None = None,
    alone: bool = False,
) -> list[TableMapping]:
    """Return the file's tables, one for each market that it holds; MappingError with a question.

    A file may be a `piece_of` a data set with others. Beside ticks that are `alone`
    stand no bars, so that these are drawn of them.
    """
    if draft.table == "macro":
        return [_macro(draft, answers)]
    groups = draft.clues(answers)
    if draft.table == "news" and "symbol" not in draft.columns:
        return [_mapping(draft, _entries(draft) | {"time": _time(draft, None, answers)})]
    made: list[TableMapping] = []
    for clue, pairs in groups.items():
        known = _completed(draft, clue, pairs, shared)
        entries = _entries(draft) | _instrument(draft, known, answers)
        entries |= middle_entries(draft, entries, answers)
        entries["time"] = _time(draft, known, answers)
        if len(groups) > 1:
            entries["where"] = _where(draft, pairs)
        if piece_of is not None:
            entries |= {"dataset": piece_of, "source_per_file": False}
        if draft.table == "corporate_actions":
            made += [_mapping(draft, e) for e in action_entries(draft.columns, entries)]
            continue
        made.append(_mapping(draft, entries))
        if alone:
            made += bars_of_ticks(draft, made[-1], answers)
        if draft.lists_actions:
            made += _actions_beside(draft, known, entries, answers)
        if draft.lists_quotes:
            made.append(_quotes_beside(draft, known, entries, answers))
    return made


def _actions_beside(
    draft: Draft, clue: Clue, bars: dict[str, object], answers: Answers
) -> list[TableMapping]:
    """Return the tables of the splits and payments that the columns of bars tell of."""
    beside = replace(draft, table="corporate_actions")
    entries = _entries(beside) | _instrument(beside, clue, answers)
    entries |= {"time": _time(beside, clue, answers)}
    entries |= {key: bars[key] for key in ("where", "source_per_file") if key in bars}
    if "source_per_file" in bars and bars["dataset"] != draft.table:  # of a vendor among others
        entries["dataset"] = str(bars["dataset"]).replace(draft.table, beside.table, 1)
    return [_mapping(beside, e) for e in action_entries(draft.columns, entries)]


def _quotes_beside(
    draft: Draft, clue: Clue, bars: dict[str, object], answers: Answers
) -> TableMapping:
    """Return the table of the bids and asks beside bars, of their moment and known with them.

    The stamp may be the bar's start: a quote of the close must not be known before it. A row
    without a quote is a bar alone.
    """
    beside = replace(draft, table="quotes")
    entries = _entries(beside) | _instrument(beside, clue, answers)
    shared = ("time", "knowledge", "source_per_file")
    entries |= {key: bars[key] for key in shared if key in bars}
    quoted = [Condition(column=draft.columns[m], not_in=NO_AMOUNT) for m in ("bid", "ask")]
    entries["where"] = (*bars.get("where", ()), *quoted)  # type: ignore[misc]  # conditions
    if "source_per_file" in bars:
        entries["dataset"] = str(bars["dataset"]).replace(draft.table, beside.table, 1)
    return _mapping(beside, entries)


def _completed(
    draft: Draft, clue: Clue, pairs: Sequence[tuple[str, str | None]], shared: SharedCalendar
) -> Clue:
    """Return the clue with calendar and currency; raises MappingError with what is not known."""
    if (option := option_among(symbol for symbol, _ in pairs)) is not None:
        raise MappingError(
            f"{option!r} is an option, and not a share: table: options in a mapping reads it"
        )
    listed = {symbol: listing_of(symbol) for symbol, _ in pairs if clue.calendar is None}
    elsewhere = [symbol for symbol, listing in listed.items() if listing is not None]
    if elsewhere:
        raise MappingError(
            f"on which exchange is {elsewhere[0]!r} listed? write --calendar XNYS, XLON or another"
        )
    calendar = clue.calendar or shared.fit.name
    if calendar is None:
        raise MappingError(shared.question)
    kind = clue.asset_class
    if kind == "equity" and clue.calendar is None and calendar in NEVER_RESTING:
        kind = {"24/7": "crypto", "24/5": "fx"}.get(calendar, "future")
    currency = clue.currency or CURRENCY_OF.get(calendar)
    if currency is None and "currency" not in draft.columns:
        raise MappingError(currency_question(calendar))
    if kind == "future" and clue.multiplier is None:
        names = ", ".join(symbol for symbol, _ in draft.symbols[:3])
        raise MappingError(
            f"how many units does a contract of {names} stand for? write instrument: "
            "{..., multiplier: ...} in a mapping"
        )
    return Clue(calendar, currency, kind, clue.multiplier)


def _entries(draft: Draft) -> dict[str, object]:
    """Return the entries that follow from the columns alone."""
    columns = draft.columns
    fields = {m: Field(column=(columns[m],)) for m in _MEASURES[draft.table] if m in columns}
    if "volume" in fields and draft.volume_mark:
        fields["volume"] = replace(fields["volume"], thousands=draft.volume_mark)
    for measure in ("open", "high", "low", "close", "volume"):
        if measure in fields and (factor := factor_of(columns, measure)) != 1:
            fields[measure] = replace(fields[measure], scale=factor)
    if draft.table == "news":
        fields["precision"] = Field(constant="day" if draft.stamps.days_only else "second")
    if draft.table in ("bars", "quotes"):
        fields["interval"] = Field(constant=draft.stamps.interval)
    if draft.table == "bars":
        fields["adjustment"] = Field(constant="raw")
        if draft.unpivot is not None:
            fields["close"] = Field(column=("close",))
    is_daily = draft.table == "bars" and draft.stamps.interval == _DAILY
    lag = "15m" if draft.stamps.days_only or is_daily else "0s"
    return {
        "columns": fields,
        "unpivot": draft.unpivot,
        "knowledge": Knowledge(lag=lag) if draft.known is None else Knowledge(time=draft.known),
        "dataset": file_stem(draft.relative),
    }


def _macro(draft: Draft, answers: Answers) -> TableMapping:
    """Return the mapping of series, named by a column, by a wide file's header, or by the file."""
    stem = file_stem(draft.relative)
    if draft.known is None and answers.published is None and draft.stamps.step_days >= _WEEKLY_DAYS:
        raise MappingError(_PUBLISHED)
    lag = "0s" if draft.known is not None else answers.published or "0s"
    entries = _entries(draft) | {"knowledge": Knowledge(time=draft.known, lag=lag)}
    fields: dict[str, Field] = entries["columns"]  # type: ignore[assignment]  # made above
    if draft.unpivot is not None:
        vintages = bool(draft.unpivot.pattern)
        named = Field(column=("series",)) if vintages else Field(template=f"{stem}.{{series}}")
        fields |= {"series_id": named, "value": Field(column=("value",))}
    elif len(draft.series) > 1:
        fields["series_id"] = Field(template=".".join(f"{{{column}}}" for column in draft.series))
    elif "series_id" not in draft.columns:
        fields["series_id"] = Field(constant=_series_name(draft, stem))
    stamps = draft.stamps
    if stamps.needs_zone:
        raise MappingError(_zone_question(draft))
    kind = "day" if stamps.days_only else "instant"
    time = _time_field(draft, zone=stamps.zone, stands_for=kind)
    return _mapping(draft, entries | {"time": time})


def _series_name(draft: Draft, stem: str) -> str:
    """Return the name of a file's one series: its own, or that of its values where it has none."""
    value = draft.columns["value"]
    if not is_of_data(undated(Path(draft.relative).name).partition(".")[0]):
        return stem
    if plain_name(value) in NAMES["value"]:
        raise MappingError(_NO_NAME)
    return value_name(value)


def _instrument(draft: Draft, clue: Clue, answers: Answers) -> dict[str, object]:
    """Return the entries that say which instruments a table is of."""
    prefix = clue.prefix if answers.id_prefix is None else answers.id_prefix
    tick, lot = _increments(draft.decimals, clue.asset_class)
    assert clue.calendar is not None  # completed before
    currency = clue.currency or "USD"
    instrument = Instrument(
        id=prefix + "{symbol}",
        asset_class=clue.asset_class,
        currency=HUNDREDTHS.get(currency, currency),
        calendar=clue.calendar,
        price_increment=tick,
        size_increment=lot,
        multiplier=clue.multiplier,
        hours=_hours(draft, answers),
    )
    entries: dict[str, object] = {"instrument": instrument}
    if "currency" not in draft.columns and draft.table in (*TRADED, "corporate_actions"):
        entries["columns"] = {
            **_entries(draft)["columns"],  # type: ignore[dict-item]  # a mapping of fields
            "currency": Field(constant=currency),
        }
    starts, ends = venue_marks((symbol for symbol, _ in draft.symbols), clue.calendar)
    marks: dict[str, Any] = {"drop_start": starts, "drop_end": ends, "not_null": ("NA", "NULL")}
    if draft.unpivot is not None:  # a column's name is never an empty cell
        return entries | {"symbol": Field(column=("symbol",), **marks)}
    if "symbol" in draft.columns:
        marks |= {"column": (draft.columns["symbol"],), "not_null": draft.not_null}
        return entries | {"symbol": Field(upper=True, **marks)}
    entries |= {"dataset": draft.table, "source_per_file": True}
    if draft.relative.lower().endswith(".zip"):  # its members may be many, each named for its own
        by_name = Field(template="{symbol}", upper=True, drop_end=ends)
        return entries | {"symbol": by_name, "file_name": FILE_NAME}
    if draft.columns["time"] in DAYS_OF_PATHS and partition_value(draft.relative) is not None:
        return entries | {"symbol": Field(template="{symbol}", upper=True, drop_end=ends)}
    symbol = draft.symbols[0][0]
    bare = next((symbol.removesuffix(end) for end in ends), symbol)
    return entries | {"symbol": Field(constant=bare)}


def _hours(draft: Draft, answers: Answers) -> Hours:
    """Return in which hours bars must lie: the regular ones, where the user names the calendar."""
    if draft.table != "bars" or draft.stamps.interval == _DAILY:
        return ""
    return answers.hours or ("regular" if answers.calendar else "")


def _increments(decimals: int, asset_class: str) -> tuple[str, str]:
    """Return tick and lot: as fine as the prices are written, their product a multiple of 1e-8."""
    bounds = {"fx": (5, 6), "crypto": (2, 8), "future": (2, 6)}
    low, high = bounds.get(asset_class, (2, 4))
    places = min(max(decimals, low), high)
    lot = max(0, 8 - places) if asset_class == "crypto" else 0
    return f"{10.0**-places:.{places}f}", f"{10.0**-lot:.{lot}f}"


def _where(draft: Draft, pairs: Sequence[tuple[str, str | None]]) -> tuple[Condition, ...]:
    """Return which rows of a file with several markets are of these symbols."""
    if "symbol" not in draft.columns:
        raise MappingError("a file whose columns are of several markets must have a mapping")
    symbols = tuple(dict.fromkeys(symbol for symbol, _ in pairs))
    conditions = [Condition(column=draft.columns["symbol"], is_in=symbols)]
    venues = tuple(dict.fromkeys(v for _, v in pairs if v is not None))
    if venues and "exchange" in draft.columns:
        conditions.append(Condition(column=draft.columns["exchange"], is_in=venues))
    return tuple(conditions)


def _time(draft: Draft, clue: Clue | None, answers: Answers) -> TimeField:
    stamps = draft.stamps
    calendar = None if clue is None else clue.calendar
    if draft.table == "corporate_actions":
        return _ex_date(draft, calendar or "XNYS")
    if draft.table == "news" and stamps.days_only:
        return _time_field(draft, zone=stamps.zone, stands_for="day")
    if stamps.days_only:
        return _time_field(draft, zone=stamps.zone, stands_for="session")
    if draft.table == "bars" and stamps.interval == _DAILY and calendar is not None:
        day_zone = find_day_zone(stamps, calendar)
        if day_zone is not None:  # stamped with the open or the close of its session
            return _time_field(draft, zone=day_zone, stands_for="session")
    zone = stamps.zone
    if stamps.needs_zone:
        zone = answers.zone or (None if calendar is None else zone_of_hours(stamps, calendar))
        if zone is None:
            raise MappingError(_zone_question(draft))
    # Vendors stamp bars with their start; if one stamps the end, this is late, never early.
    is_bar = draft.table == "bars" or draft.has_ranges
    if is_bar and (left := left_of_bar(stamps)) is not None:
        return replace(_time_field(draft, zone=zone, stands_for="instant"), plus=left)
    return _time_field(draft, zone=zone, stands_for="bar_start" if is_bar else "instant")


def _ex_date(draft: Draft, calendar: str) -> TimeField:
    """Return the open of the ex-date: the first price without the payment, or of the new share."""
    zone, opens = usual_open(calendar)
    return TimeField(
        column=draft.parts[:1], format=draft.stamps.format, take=draft.stamps.take,
        stands_for="day", at=f"{opens:%H:%M}", zone=zone,
    )  # fmt: skip


def _time_field(draft: Draft, *, zone: str | None, stands_for: str) -> TimeField:
    stamps = draft.stamps
    one = len(draft.parts) == 1
    return TimeField(
        column=draft.parts if one else (),
        join=() if one else draft.parts,
        format=stamps.format,
        zone=zone,
        take=stamps.take,
        stands_for=stands_for,  # type: ignore[arg-type]  # one of its words
    )


def _zone_question(draft: Draft) -> str:
    first = draft.stamps.moments.drop_nulls().unique(maintain_order=True).head(2).to_list()
    # An hour a file is one question about many files: no moment of a single one stands in it.
    shown = f" ({first[0]:%Y-%m-%d %H:%M})" if len(first) > 1 else ""
    return (
        f"in which zone are the times of {draft.columns['time']!r}{shown}? write --zone UTC, "
        "America/New_York or another"
    )


def _mapping(draft: Draft, entries: dict[str, object]) -> TableMapping:
    laid_out: dict[str, Any] = {"csv": draft.layout, "format": draft.format}
    if draft.columns["time"] in DAYS_OF_PATHS:
        laid_out["file_name"] = day_pattern(draft.relative, is_named="symbol" in draft.columns)
    if draft.table in TRADED and "complete" in draft.columns:
        over = Condition(column=draft.columns["complete"], not_in=("false", "False", "FALSE", "0"))
        entries = {**entries, "where": (*entries.get("where", ()), over)}  # type: ignore[misc]  # conditions
    return TableMapping(table=draft.table, files=(glob_of(draft.relative),), **laid_out, **entries)  # type: ignore[arg-type]  # the keys are its fields
