"""FRED and ALFRED: economic series with every vintage, so that each value has its day of release.

Interface: St. Louis Fed web services, `fred/series`, `fred/series/vintagedates` and
`fred/series/observations` (output type 1: a row for each value and the real-time period in which it
was the published one).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time

import polars as pl

from adapters.sources.versions import changes_only
from adapters.sources.web.answers import days, numbers, records, text_frame
from adapters.sources.web.http import HttpClient, SourceRefusedError
from features.calendars import utc
from features.schemas import INSTRUMENTS, MACRO

_BEGINNING, _END = "1776-07-04", "9999-12-31"  # the bounds of FRED's own real-time period
_ZONE = "America/Chicago"  # real-time dates are days in St. Louis
_FIELDS = ("realtime_start", "date", "value")


@dataclass(frozen=True, slots=True, kw_only=True)
class FredSettings:
    """Which series, with which key; the limits are FRED's own."""

    api_key: str
    series: tuple[str, ...]
    base_url: str = "https://api.stlouisfed.org/fred"
    page_size: int = 100_000
    vintages_per_request: int = 1_500  # FRED refuses a real-time period with over 2,000 vintages

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError("series must name at least one FRED series, named none")
        if not 1 <= self.page_size <= 100_000:
            raise ValueError(f"page_size must lie within 1 to 100000, was {self.page_size}")
        if not 1 <= self.vintages_per_request <= 2_000:
            raise ValueError(
                f"vintages_per_request must lie within 1 to 2000, was {self.vintages_per_request}"
            )


class FredSource:
    """A `Source` of macro series; the vintage is the knowledge time.

    A vintage is dated by day: its values are knowable when the day is over in St. Louis.
    """

    name = "fred"
    tables = (MACRO.name,)

    def __init__(self, settings: FredSettings, client: HttpClient) -> None:
        self._settings = settings
        self._client = client

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return all vintages of the observations with start <= event_time < end.

        Raises SourceUnavailableError, SourceRefusedError (a bad key or series), ValueError.
        """
        if table != MACRO.name:
            raise ValueError(f"table must be {MACRO.name!r}, was {table!r}")
        parts = [self._series(series, utc(start), utc(end)) for series in self._settings.series]
        rows = pl.concat([MACRO.empty(), *parts])
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        return rows.filter(inside).sort(*MACRO.key, "knowledge_time")

    def instruments(self) -> pl.DataFrame:
        """Return no rows: a series is no instrument."""
        return INSTRUMENTS.empty()

    def _series(self, series: str, start: datetime, end: datetime) -> pl.DataFrame:
        window = {
            "series_id": series,
            "observation_start": start.date().isoformat(),
            "observation_end": end.date().isoformat(),
        }
        found = [
            row
            for first, last in self._real_time_periods(series)
            for row in self._pages(
                "series/observations",
                {**window, "realtime_start": first, "realtime_end": last},
                "observations",
            )
        ]
        what = f"observations of {series}"
        frame = text_frame(records(found, what), _FIELDS, what).with_row_index("source_row")
        dated = days(frame, ("realtime_start", "date"), what)
        # "." says that no value was published for the date.
        given = numbers(dated.filter(pl.col("value").ne_missing(".")), ("value",), what)
        if given["value"].has_nulls():
            raise SourceRefusedError(f'value of {what} must be a number or ".", was null')
        over = (
            pl.col("realtime_start")
            .dt.offset_by("1d")
            .dt.combine(time(0, 0))
            .dt.replace_time_zone(_ZONE)
        )
        rows = given.select(
            series_id=pl.lit(series),
            event_time=pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            knowledge_time=over.dt.convert_time_zone("UTC"),
            value="value",
            unit=pl.lit(self._unit(series)),
            source=pl.lit(f"fred/{series}"),
            source_row=pl.col("source_row").cast(pl.Int64),
        )
        # A value that spans two requests comes twice, the second time with the later one's start.
        unchanged_once = changes_only(
            rows.unique(["event_time", "knowledge_time"], keep="first", maintain_order=True),
            ["event_time"],
            ["value"],
        )
        return MACRO.conform(unchanged_once)

    def _real_time_periods(self, series: str) -> list[tuple[str, str]]:
        """Cut all of the series' vintages into periods that one request may cover."""
        dates = [str(d) for d in self._pages("series/vintagedates", {"series_id": series},
                                             "vintage_dates", 10_000)]  # fmt: skip
        size = self._settings.vintages_per_request
        cuts = [_BEGINNING, *(dates[i] for i in range(size, len(dates), size))]
        ends = [*(dates[i - 1] for i in range(size, len(dates), size)), _END]
        return list(zip(cuts, ends, strict=True))

    def _unit(self, series: str) -> str:
        answer = self._ask("series", {"series_id": series})
        found = records(answer.get("seriess"), f"series {series}")
        return str(found[0].get("units", "")) if found else ""

    def _pages(
        self, path: str, params: dict[str, str | int], name: str, page_size: int | None = None
    ) -> Iterator[object]:
        limit = min(page_size or self._settings.page_size, self._settings.page_size)
        offset, seen = 0, set[str]()
        announced: int | None = None
        while announced is None or offset < announced:
            answer = self._ask(path, {**params, "limit": limit, "offset": offset})
            rows, count = answer.get(name), answer.get("count", 0)
            if not isinstance(rows, list) or not isinstance(count, int):
                raise SourceRefusedError(f"{path} must answer with {name}, was {str(answer)[:200]}")
            announced = count if announced is None else announced
            # What moves between two pages is left out by one and repeated by the other.
            if count != announced:
                raise SourceRefusedError(
                    f"{path} must keep its {announced} {name} from page to page, had {count}: the "
                    "series was changed meanwhile, ask again"
                )
            before = len(seen)
            seen.update(str(row) for row in rows)
            if len(seen) != before + len(rows):
                raise SourceRefusedError(
                    f"{path} must give each of its {name} once, gave some twice"
                )
            yield from rows
            offset += len(rows)
            if not rows:
                break
        if announced is not None and offset < announced:
            raise SourceRefusedError(f"{path} must give all {announced} {name}, gave {offset}")

    def _ask(self, path: str, params: dict[str, str | int]) -> dict[str, object]:
        key = {"api_key": self._settings.api_key, "file_type": "json"}
        answer = self._client.get_json(f"{self._settings.base_url}/{path}", {**params, **key})
        if not isinstance(answer, dict) or "error_code" in answer:
            raise SourceRefusedError(f"{path} must answer with records, was {str(answer)[:200]}")
        return answer
