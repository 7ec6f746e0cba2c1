"""Intraday bars outside the hours that a mapping asks for are put aside, each with its reason."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError, mapping_from
from adapters.sources.session_hours import off_hours
from tests.adapters.sources.test_inference import EVER

NEW_YORK = ZoneInfo("America/New_York")


def starts(*texts: str, zone: ZoneInfo = NEW_YORK) -> list[datetime]:
    """Local moments in UTC."""
    return [datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in texts]


def outside(begun: list[datetime], interval: str, calendar: str, hours: str) -> list[int]:
    """Which of the bars are put aside."""
    length = timedelta(minutes={"5m": 5, "1h": 60, "1d": 0}[interval])
    rows = pl.DataFrame({"event_time": [at + length for at in begun]}).with_columns(
        pl.col("event_time").cast(pl.Datetime("us", "UTC")), interval=pl.lit(interval)
    )
    return off_hours(rows, calendar, hours)["row"].to_list()


# The 29th of November 2019 is the Friday after Thanksgiving: it closes at 13:00.
BARS = (
    "2019-11-27 09:25", "2019-11-27 09:30", "2019-11-27 15:55", "2019-11-27 16:00",
    "2019-11-27 16:05", "2019-11-27 19:55", "2019-11-28 04:00", "2019-11-28 10:00",
    "2019-11-28 15:55", "2019-11-29 04:00", "2019-11-29 13:00", "2019-11-29 13:05",
    "2019-11-29 19:55", "2019-11-30 12:00", "2019-12-01 20:00",
)  # fmt: skip


def test_regular_hours_are_those_of_the_session_with_its_closing_auction() -> None:
    """Half days end when they end; a holiday has no hours."""
    kept = [BARS[n] for n in range(len(BARS)) if n not in outside(
        starts(*BARS), "5m", "XNYS", "regular")]  # fmt: skip
    assert kept == ["2019-11-27 09:30", "2019-11-27 15:55", "2019-11-27 16:00", "2019-11-29 13:00"]


def test_extended_hours_are_the_hours_around_and_no_holiday() -> None:
    found = [BARS[n] for n in outside(starts(*BARS), "5m", "XNYS", "extended")]
    assert found == [
        "2019-11-28 04:00", "2019-11-28 10:00", "2019-11-28 15:55", "2019-11-30 12:00",
    ]  # fmt: skip


def test_an_hour_of_which_a_part_is_traded_is_taken() -> None:
    begun = starts("2019-11-27 08:00", "2019-11-27 09:00", "2019-11-27 15:00", "2019-11-27 17:00")
    assert outside(begun, "1h", "XNYS", "regular") == [0, 3]


@pytest.mark.parametrize(
    ("calendar", "zone", "inside", "out"),
    [
        ("XTKS", "Asia/Tokyo", "2019-11-27 09:00", "2019-11-27 16:00"),
        ("XLON", "Europe/London", "2019-11-27 08:00", "2019-12-25 10:00"),
        ("XHKG", "Asia/Hong_Kong", "2019-11-27 15:55", "2019-11-27 17:00"),
        ("24/7", "UTC", "2019-11-30 12:00", None),
        ("CMES", "America/Chicago", "2019-11-27 03:00", "2019-11-30 12:00"),
    ],
)
def test_each_exchange_keeps_its_own_clock(
    calendar: str, zone: str, inside: str, out: str | None
) -> None:
    begun = starts(*[text for text in (inside, out) if text], zone=ZoneInfo(zone))
    assert outside(begun, "5m", calendar, "regular") == ([] if out is None else [1])


def test_a_day_is_no_matter_of_hours() -> None:
    assert outside(starts("2019-11-28 16:00"), "1d", "XNYS", "regular") == []


def write(folder: Path) -> Path:
    """Five minutes before, in and after a session, and on a holiday, for eight weeks."""
    folder.mkdir()
    lines = ["datetime,open,high,low,close,volume"]
    day = date(2019, 11, 4)
    while day < date(2019, 12, 31):
        if day.weekday() < 5:
            for clock in ("08:00", "09:30", "12:00", "15:55", "18:00"):
                lines.append(f"{day:%Y-%m-%d} {clock}:00,10,11,9,10.5,100")
        day += timedelta(days=1)
    (folder / "KO.csv").write_text("\n".join(lines) + "\n")
    return folder


def read(folder: Path, hints: Hints) -> tuple[list[str], pl.DataFrame]:
    """The clocks of the bars that are taken, in New York, and what is put aside."""
    source = FileSource(folder, infer_mapping(folder, hints))
    ends = source.fetch("bars", *EVER)["event_time"].dt.convert_time_zone("America/New_York")
    return ends.dt.strftime("%H:%M").unique().sort().to_list(), source.rejected("bars")


def test_who_names_the_calendar_gets_its_sessions_and_may_ask_for_more(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    zone = "America/New_York"
    clocks, aside = read(folder, Hints(calendar="XNYS", zone=zone))
    assert len(clocks) == 3
    assert set(aside["rule"]) == {"off_hours"}
    assert set(aside["kind"]) == {"off_session"}
    reasons = aside["reason"].to_list()
    assert (
        "a bar must lie in the regular hours of XNYS, began on Thursday 2019-11-28 12:00 in "
        "America/New_York"
    ) in reasons
    assert '"datetime":"2019-11-04 08:00:00"' in aside["row"][0]
    assert aside["source_row"][0] == 0

    wide, closed = read(folder, Hints(calendar="XNYS", zone=zone, hours="extended"))
    assert len(wide) == 5
    assert {reason.split(" began on ")[1][:20] for reason in closed["reason"]} == {
        "Thursday 2019-11-28 ", "Wednesday 2019-12-25",
    }  # fmt: skip
    with pytest.raises(MappingError, match="which exchange are its 41 days of"):
        infer_mapping(folder, Hints(zone=zone))  # a holiday that has bars fits none


def test_hours_are_a_word_of_the_mapping() -> None:
    table = {
        "table": "bars", "files": "*.csv", "time": "t", "symbol": "s", "columns": {"close": "c"},
        "instrument": {"hours": "night"},
    }  # fmt: skip
    with pytest.raises(MappingError, match=r"hours must be one of .*extended.*was 'night'"):
        mapping_from({"tables": [table]}, name="m")
