"""Files that are alike looked at together: one shows the layout, the others only confirm it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from adapters.sources.column_names import zone_in_name
from adapters.sources.draft import Draft
from adapters.sources.file_drafts import (
    FileHints,
    NoTableError,
    OpenFile,
    decimals_of,
    draft_of,
    is_crsp,
    is_midnight,
    open_file,
    pair_of,
    priced_column,
    stamp_of,
    symbols_of,
)
from adapters.sources.mapping import MappingError
from adapters.sources.null_names import reads_as_null
from adapters.sources.partitions import DAYS_OF_PATHS
from adapters.sources.reading import RawRows, UnreadableFileError, read_rows
from adapters.sources.stamps import Stamps, recognise, recognise_all
from adapters.sources.table_kinds import is_snapshot, longer_period
from adapters.sources.wheels import Progress

FileError = NoTableError | MappingError | UnreadableFileError
_ROWS_MAX, _BYTES_MAX = 1 << 19, 1 << 26  # of a batch, which is held in memory as a whole
_TOLD_EVERY = 100  # files
_FILE = "__file"


@dataclass(slots=True)
class _Batch:
    """Files with the layout of one that was looked at by itself, waiting to be looked at."""

    model: Draft
    files: list[OpenFile] = field(default_factory=list[OpenFile])
    frames: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    heights: list[int] = field(default_factory=list[int])
    byte_count: int = 0

    def add(self, file: OpenFile, rows: pl.DataFrame | None, height: int) -> bool:
        """Add a file; return whether the batch is as large as allowed."""
        self.files.append(file)
        self.frames += [] if rows is None else [rows]
        self.heights.append(height)
        self.byte_count += len(file.content)
        return sum(self.heights) >= _ROWS_MAX or self.byte_count >= _BYTES_MAX


class LikeFiles:
    """Looks at files one after the other and answers for all of them, as if each were alone.

    The first of a layout (its header, separator, decimal mark, types) is looked at by itself. Of
    the others only what may differ is: stamps, symbols, decimals, a clock that stands still. These
    are read off a whole batch at once. What is not plainly alike is looked at by itself.
    """

    def __init__(self, hints: FileHints, progress: Progress) -> None:
        self._hints, self._progress = hints, progress
        self._answers: dict[str, Draft | FileError] = {}
        self._batches: dict[object, _Batch] = {}

    def drafts(self, paths: Sequence[tuple[str, Path]]) -> dict[str, Draft | FileError]:
        """Return what each file says of itself, or why it says nothing, by its relative path."""
        for count, (relative, path) in enumerate(paths, start=1):
            if count % _TOLD_EVERY == 0:
                self._progress(f"looked at {count:,} of {len(paths):,} files")
            try:
                self._look(open_file(relative, path, self._hints))
            except (NoTableError, MappingError, UnreadableFileError) as error:
                self._answers[relative] = error
        for key in list(self._batches):
            self._empty(key)
        return {relative: self._answers[relative] for relative, _ in paths}

    def _look(self, file: OpenFile) -> None:
        bare = _bare_text(file)
        raw = None if bare is not None else file.read()
        key = bare[0] if bare is not None else _frame_key(file, raw)
        batch = self._batches.get(key)
        if batch is None:
            draft = self._alone(file, raw)
            if draft is not None and key is not None and _is_plain(draft):
                self._batches[key] = _Batch(draft)
            return
        rows = None if raw is None else raw.rows
        height = bare[1] if bare is not None else 0 if rows is None else rows.height
        if batch.add(file, rows, height):
            self._empty(key)

    def _alone(self, file: OpenFile, raw: RawRows | None = None) -> Draft | None:
        try:
            draft = draft_of(file, file.read() if raw is None else raw, self._hints)
        except (NoTableError, MappingError, UnreadableFileError) as error:
            self._answers[file.relative] = error
            return None
        self._answers[file.relative] = draft
        return draft

    def _empty(self, key: object) -> None:
        """Look at all that wait for one layout."""
        batch = self._batches[key]
        self._batches[key] = _Batch(batch.model)
        if not batch.files:
            return
        rows = _joined(batch)
        found = [None] * len(batch.files) if rows is None else self._confirmed(batch, rows)
        for file, draft in zip(batch.files, found, strict=True):
            if draft is None:
                self._alone(file)
            else:
                self._answers[file.relative] = draft

    def _confirmed(self, batch: _Batch, rows: pl.DataFrame) -> list[Draft | None]:
        """Return the draft of each file; None where it differs from the model in its parts."""
        model, count = batch.model, len(batch.files)
        heights = np.array(batch.heights)
        of_file = pl.Series(_FILE, np.repeat(np.arange(count), heights))
        alike = _same_clock(model, rows.with_columns(of_file), count)
        stamps = self._stamps(model, rows, heights)
        symbols = _symbols(batch, rows.with_columns(of_file), heights)
        decimals = [model.decimals] * count
        priced = priced_column(model.columns)
        if priced is not None:
            prices = rows[priced]
            decimals = decimals_of(prices, of_file, count, model.layout)
        return [
            replace(
                model, relative=file.relative, columns=dict(model.columns), stamps=told,
                symbols=symbols[number], decimals=decimals[number],
            )
            if alike[number]
            and isinstance(told := stamps[number], Stamps)
            and longer_period(told) is None
            and not reads_as_null(symbols[number])
            else None
            for number, file in enumerate(batch.files)
        ]  # fmt: skip

    def _stamps(
        self, model: Draft, rows: pl.DataFrame, heights: np.ndarray
    ) -> list[Stamps | MappingError]:
        time = model.columns["time"]
        column = rows[time] if len(model.parts) == 1 else rows.select(stamp_of(model.parts))
        stamped = column if isinstance(column, pl.Series) else column.to_series()
        zone, day_first = self._hints.zone or zone_in_name(time), self._hints.day_first
        if not stamped.dtype.is_temporal():
            return recognise_all(stamped, heights, time, day_first, zone)
        starts = np.concatenate([[0], np.cumsum(heights)]).tolist()
        return [
            recognise(stamped.slice(start, height), time, day_first, zone)
            for start, height in zip(starts, heights.tolist(), strict=False)
        ]


def _is_plain(draft: Draft) -> bool:
    """Return whether the header alone says what the file is."""
    named = "close" in draft.columns or {"bid", "ask"} <= draft.columns.keys()
    is_one = not draft.relative.lower().endswith(".zip")
    named = named and draft.columns["time"] not in DAYS_OF_PATHS and draft.known is None
    named = named and not is_crsp(draft.columns)
    named = named and not is_snapshot(draft.columns)  # of which the stamps name the table
    return draft.table in ("bars", "quotes") and named and draft.unpivot is None and is_one


def _bare_text(file: OpenFile) -> tuple[object, int] | None:
    """Return layout and header, and how many lines follow; None where lines may be no rows.

    Without quotes and with as many cells in all as its header asks for, a file can be put behind
    another one of the same header as text.
    """
    layout, text = file.layout, file.text
    is_plain = file.is_text and not file.is_grouped and not file.relative.lower().endswith(".zip")
    if not is_plain or layout.skip_lines or layout.header or '"' in text:
        return None
    header, _, body = text.partition("\n")
    separator = layout.separator or ","
    body = body.rstrip("\r\n")
    height = body.count("\n") + 1
    if not body or body.count(separator) != height * header.count(separator):
        return None
    return (layout, header.rstrip("\r")), height


def _frame_key(file: OpenFile, raw: RawRows | None) -> object:
    """Return what files of one layout share where each is read by itself; None for others."""
    if raw is None or file.is_grouped or not raw.ragged.is_empty():
        return None
    return file.layout, file.is_text, tuple(raw.rows.schema.items())


def _joined(batch: _Batch) -> pl.DataFrame | None:
    """Return the rows of all files, one after the other; None where they are not as they looked."""
    if batch.frames:
        return pl.concat(batch.frames)
    first, model = batch.files[0], batch.model
    header = first.text.partition("\n")[0].rstrip("\r")
    bodies = [file.text.partition("\n")[2].rstrip("\r\n") for file in batch.files]
    text = "\n".join([header, *bodies])
    layout = replace(model.layout, encoding=None)
    try:
        raw = read_rows("files.csv", text.encode(), layout)
    except UnreadableFileError:
        return None
    is_whole = raw.ragged.is_empty() and raw.rows.height == sum(batch.heights)
    return raw.rows if is_whole else None


def _same_clock(model: Draft, rows: pl.DataFrame, count: int) -> list[bool]:
    """Return whether each file tells times of day where the model does."""
    clock = model.columns.get("clock")
    if clock is None:
        return [True] * count
    seen = rows.select(_FILE, clock).unique(maintain_order=True)
    still = {
        int(part[_FILE][0]): is_midnight(part[clock])
        for part in seen.partition_by(_FILE, maintain_order=True)
    }
    return [still[file] == (len(model.parts) == 1) for file in range(count)]


def _symbols(
    batch: _Batch, rows: pl.DataFrame, heights: np.ndarray
) -> list[list[tuple[str, str | None]]]:
    """Return the symbols of each file, each with its exchange."""
    columns = batch.model.columns
    if "symbol" not in columns:
        starts = np.concatenate([[0], np.cumsum(heights)]).tolist()
        return [
            symbols_of(rows.slice(start, height), columns, None, file)
            for start, height, file in zip(starts, heights.tolist(), batch.files, strict=False)
        ]
    found: list[list[tuple[str, str | None]]] = [[] for _ in batch.files]
    pairs = rows.select(_FILE, *pair_of(columns)).drop_nulls("symbol").unique(maintain_order=True)
    for number, symbol, exchange in pairs.iter_rows():
        found[number].append((symbol, exchange))
    return found
