"""Days that files are named by: prices_2024-01-05.csv, 20240105/AAPL.csv, AAPL_05.01.2024.csv."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_YMD = rf"{_YEAR}(?:{_MONTH}{_DAY}|-{_MONTH}-{_DAY}|_{_MONTH}_{_DAY}|\.{_MONTH}\.{_DAY})"
_DMY = rf"{_DAY}(?:-{_DAY}-|_{_DAY}_|\.{_DAY}\.){_YEAR}"
# A time of day beside the day: 20240105_183000, 2024-01-05T18-30Z.
_CLOCK = r"(?:[T_ \-]?(?:[01]\d|2[0-3])[\-:.]?[0-5]\d(?:[\-:.]?[0-5]\d)?Z?)?"
_STAMP = re.compile(
    rf"(?<!\d)(?P<day>{_YMD}|{_DMY})(?:(?![_ \-]?(?:{_YMD}|{_DMY})){_CLOCK})?(?!\d)"
)
BLANK = "\0"  # where a day was
ANY_DAY = rf"(?:{_YMD}|{_DMY}){_CLOCK}"


@dataclass(frozen=True, slots=True)
class NamedDays:
    """The days in a file's path, as they are written, and the path with a blank for each."""

    blanked: str
    days: tuple[str, ...]


def days_in(relative: str) -> NamedDays:
    """Return the days that a path speaks of, without the times of day beside them."""
    days = tuple(match["day"] for match in _STAMP.finditer(relative))
    return NamedDays(_STAMP.sub(BLANK, relative), days)


def undated(relative: str) -> str:
    """Return a path whose name is without its days, where it is named by more than them."""
    folder, slash, name = relative.rpartition("/")
    bare = re.sub(rf"[_\-. ]*{BLANK}", BLANK, _STAMP.sub(BLANK, name)).replace(BLANK, "")
    bare = bare.lstrip("_- ")
    return f"{folder}{slash}{bare}" if bare.partition(".")[0] else relative


def forms_of(days: Sequence[str], day_first: bool | None) -> list[tuple[str, list[date]]]:
    """Return the strptime formats by which all of the days can be read, each with what it reads.

    With `day_first` the month is not before the day, or not after it, where the year is last;
    between points it is after it.
    """
    mark = re.sub(r"\d", "", days[0])[:1]
    forms = [f"%Y{mark}%m{mark}%d"]
    if mark == "." or (mark and day_first is not False):
        forms.append(f"%d{mark}%m{mark}%Y")
    if mark and mark != "." and day_first is not True:
        forms.append(f"%m{mark}%d{mark}%Y")
    return [(form, read) for form in forms if (read := _read(days, form)) is not None]


def pattern_of(form: str, *, last: bool) -> str:
    """Return the regular expression that finds a path's first or last day of a format."""
    mark = form[2]
    between = "" if mark == "%" else re.escape(mark)
    parts = [r"\d{4}" if part == "Y" else r"\d\d" for part in re.findall("[Ymd]", form)]
    return rf"{'.*' if last else ''}(?<!\d)(?P<day>{between.join(parts)})"


def _read(days: Sequence[str], form: str) -> list[date] | None:
    try:
        return [datetime.strptime(day, form).date() for day in days]  # noqa: DTZ007 - days
    except ValueError:
        return None
