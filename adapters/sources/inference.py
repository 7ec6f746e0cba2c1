"""A first mapping for an undescribed folder: what is certain is written, the rest is asked."""

import fnmatch
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import yaml

from adapters.sources.draft import Draft
from adapters.sources.draft_adjustments import with_adjustments
from adapters.sources.draft_deliveries import UNSURE, deliveries_of, with_deliveries
from adapters.sources.draft_names import UNNAMED, named_by_path, with_shared_intervals
from adapters.sources.draft_patterns import with_patterns
from adapters.sources.draft_pieces import pieces_of_one, ticks_alone
from adapters.sources.draft_series import SAME_NAME, told_apart
from adapters.sources.drafts import shared_calendar, tables_of
from adapters.sources.file_digests import FileDigests
from adapters.sources.file_drafts import LEAVE_OUT, THESE, NoTableError
from adapters.sources.kept_drafts import load_drafts, put_drafts
from adapters.sources.kept_frames import KeptFrames
from adapters.sources.like_files import FileError, LikeFiles
from adapters.sources.mapping import (
    DEFAULT_NULLS,
    Condition,
    Csv,
    Field,
    Hours,
    Instrument,
    Knowledge,
    Mapping,
    MappingError,
    TableMapping,
    TimeField,
    Unpivot,
)
from adapters.sources.mapping_series import Deliveries, Drawn
from adapters.sources.null_names import with_null_names
from adapters.sources.packed import PACKED, is_beside_data, unread_members, what_to_do
from adapters.sources.reading import UnreadableFileError
from adapters.sources.wheels import Progress
from features import calendars

_READABLE = (".csv", ".txt", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".zip",
             *PACKED)  # fmt: skip
_log = logging.getLogger(__name__)
_TOLD_MAX = 8  # questions in one line
_PARTS = (Field, TimeField, Csv, Instrument, Unpivot, Knowledge, Deliveries, Drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Answers to what no file says of itself; None where the user does not know either.

    `currency` may be a hundredth (GBX), `encoding` is of text that is not UTF-8, `ignore` are
    patterns of files to leave out. `hours` are those in which intraday bars must lie; who names the
    `calendar` means its regular ones. `deliveries` says of files that hold the same days whether
    each follows the one before it by its name, or is of another source, `quotes` whether bars are
    drawn from the middle of bid and ask where nothing else tells prices, `published` how long after
    their days (45d) values of weeks and longer are made public.
    """

    day_first: bool | None = None
    zone: str | None = None
    encoding: str | None = None
    adjustment: Literal["raw", "split", "total_return"] | None = None
    currency: str | None = None
    calendar: str | None = None
    id_prefix: str | None = None
    asset_class: str | None = None
    hours: Hours | None = None
    deliveries: Literal["by-name", "apart"] | None = None
    quotes: Literal["mid", "alone"] | None = None
    published: str | None = None
    ignore: tuple[str, ...] = ()


def infer_mapping(
    folder: Path,
    hints: Hints | None = None,
    progress: Progress = _log.info,
    kept: KeptFrames | None = None,
) -> Mapping:
    """Return a mapping of every file that can be recognised.

    With `kept`, files that hold what they held when an earlier process looked are not looked at.

    Calendar, currency and class follow from the symbols, from a column that names the exchange or
    the currency, or from the days that the files have. Raises MappingError with all open
    questions in one line: dates that read both as month/day and day/month, times of day without a
    zone, prices in an unknown unit, files whose columns name no table. A wrong guess would be a
    wrong trade, so there is none.
    """
    given = hints or Hints()
    if given.calendar is not None:
        _check_calendar(given.calendar)
    questions: dict[str, list[str]] = {}
    drafts, ignore = _drafts(folder, given, questions, progress, kept)
    drafts, unnamed = named_by_path(with_shared_intervals(with_null_names(drafts)))
    if unnamed:
        questions.setdefault(UNNAMED, []).extend(draft.relative for draft in unnamed)
    days = shared_calendar(drafts, given)
    delivered, unsure = deliveries_of(drafts, given.deliveries, given.day_first)
    if unsure:
        questions.setdefault(UNSURE, []).extend(unsure)
    pieces = pieces_of_one([draft for draft in drafts if draft.relative not in delivered])
    ticks = ticks_alone(drafts)
    made: list[tuple[Draft, list[TableMapping]]] = []
    for draft in drafts:
        try:
            piece_of, is_alone = pieces.get(draft.relative), draft.relative in ticks
            tables = tables_of(draft, given, days, piece_of=piece_of, alone=is_alone)
            made.append((draft, with_deliveries(draft, tables, delivered)))
        except MappingError as error:
            questions.setdefault(str(error), []).append(draft.relative)
    made, alike = told_apart(made, delivered)
    if alike:
        questions.setdefault(SAME_NAME, []).extend(alike)
    tables = []
    if not questions:
        tables, questions = with_adjustments(folder, made, given.adjustment, kept)
    if questions:
        raise MappingError(
            f"{folder} must be described in a mapping (docs/how-to/add-a-source.md) or by options, "
            f"because no file says: {_listed(questions)}"
        )
    if not tables:
        raise MappingError(
            f"{folder} must hold files of {', '.join(_READABLE)} with rows, held none"
        )
    name = re.sub(r"\W+", "_", folder.name)
    return Mapping(name=name, tables=with_patterns(folder, tables), ignore=ignore)


def _check_calendar(name: str) -> None:
    try:
        calendars.usual_close(name)
    except ValueError as error:
        raise MappingError(str(error)) from None


def _drafts(
    folder: Path,
    hints: Hints,
    questions: dict[str, list[str]],
    progress: Progress,
    kept: KeptFrames | None,
) -> tuple[list[Draft], dict[str, str]]:
    """Return what each file says of itself, and the files left out; questions are added."""
    drafts: list[Draft] = []
    ignore: dict[str, str] = {}
    named = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    wanted = [(name, path) for name, path in named.items() if not _is_left_out(name, hints)]
    for relative in _unread(folder):
        if not _is_left_out(relative, hints):
            asked = f"it cannot be read: {what_to_do(relative)}, or {LEAVE_OUT}"
            questions.setdefault(asked, []).append(relative)
    answers = _looked_at(wanted, folder, hints, progress, kept)
    for relative in named:
        answer = answers.get(relative)
        match answer:
            case None:
                ignore[relative] = "left out as asked"
            case Draft():
                drafts.append(answer)
            case NoTableError():
                ignore[relative] = str(answer)
            case UnreadableFileError():
                questions.setdefault(f"{answer}; {LEAVE_OUT}", []).append(relative)
            case MappingError():
                questions.setdefault(str(answer), []).append(relative)
    return drafts, ignore


def _is_left_out(relative: str, hints: Hints) -> bool:
    return any(fnmatch.fnmatch(relative, pattern) for pattern in hints.ignore)


def _looked_at(
    wanted: list[tuple[str, Path]],
    folder: Path,
    hints: Hints,
    progress: Progress,
    kept: KeptFrames | None,
) -> dict[str, Draft | FileError]:
    """Return what each file says, of those that hold what they held before as it was kept."""
    if kept is None:
        return LikeFiles(hints, progress).drafts(wanted)
    digests = FileDigests()
    held = {relative: digests.of(path) for relative, path in wanted}
    shelf = kept.shelf("drafts", folder.resolve(), hints)
    known = load_drafts(shelf, held)
    new = LikeFiles(hints, progress).drafts([each for each in wanted if each[0] not in known])
    answers: dict[str, Draft | FileError] = {**known, **new}
    if new:
        # A file that was written while it was looked at may have said something else.
        true = {
            relative: held[relative] for relative, p in wanted if digests.of(p) == held[relative]
        }
        drafts = {name: draft for name, draft in answers.items() if isinstance(draft, Draft)}
        put_drafts(shelf, drafts, true)
    return answers


def _asked(question: str, files: list[str]) -> str:
    """Return a question with the files that it is about, each question once."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    of_them = "PATTERN" if more else repr(files[0])
    return f"{files[0]}{more}: {question.replace(THESE, of_them)}"


def _listed(questions: dict[str, list[str]]) -> str:
    """Return the questions in one line that can still be read."""
    told = [_asked(*item) for item in questions.items()]
    left = [f"and {len(told) - _TOLD_MAX} more questions"] if len(told) > _TOLD_MAX else []
    return "; ".join([*told[:_TOLD_MAX], *left])


def to_yaml(mapping: Mapping) -> str:
    """Return the mapping as the YAML that `load_mapping` reads, defaults left out."""
    tables = [_plain(table) for table in mapping.tables]
    content = {"name": mapping.name, "tables": tables, "ignore": dict(mapping.ignore)}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in _READABLE and what_to_do(path.name) is None:
            yield path


def _unread(folder: Path) -> Iterator[str]:
    """Yield the files of data that cannot be read, those in archives included."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or is_beside_data(path.name):
            continue
        if what_to_do(name) is not None:
            yield name
        with suppress(UnreadableFileError):  # which is asked when it is looked at
            yield from (f"{name}/{member}" for member in unread_members(path))


def _plain(spec: object) -> dict[str, object]:
    """Return a dataclass as plain entries, those that say nothing left out."""
    made: dict[str, object] = {}
    for f in fields(spec):  # type: ignore[arg-type]  # always one of the mapping's dataclasses
        value = getattr(spec, f.name)
        if value in (None, "", (), {}) or (f.name != "column" and value == f.default):
            continue
        if f.name == "nulls":
            value = [marker for marker in value if marker not in DEFAULT_NULLS]
        elif f.name == "columns" and isinstance(value, dict):
            value = {name: _plain(field) for name, field in value.items()}
        elif isinstance(value, tuple) and value and isinstance(value[0], Condition):
            value = [asdict(item) for item in value]
        elif isinstance(value, _PARTS):
            value = _plain(value)
        elif isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        if value not in ([], {}):
            made[f.name] = value
    return made
