"""Euro reference rates of the European Central Bank, as daily bars of currency pairs.

Interfaces: the data API (SDMX, flow EXR, as csvdata), and the two files of the statistics pages:
the whole history (a zipped CSV) and the last day or quarter (XML).
"""

import io
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from adapters.sources.default_instruments import instruments
from adapters.sources.web.answers import days, numbers
from adapters.sources.web.http import HttpClient, SourceRefusedError
from features.calendars import utc, with_session_close
from features.schemas import BARS

PUBLICATION_LAG = timedelta(minutes=5)  # the rates of 16:00 are on the site at once
_HOLES = ("N/A", "NaN", "")  # how the interfaces write that there was no rate
_HISTORY_BYTES_MAX = 64 << 20

Interface = Literal["data_api", "history", "latest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EcbSettings:
    """Which currencies against the euro, and over which of the three interfaces."""

    currencies: tuple[str, ...] = ("USD", "JPY", "GBP", "CHF")
    interface: Interface = "data_api"
    api_url: str = "https://data-api.ecb.europa.eu/service"
    files_url: str = "https://www.ecb.europa.eu/stats/eurofxref"
    latest_file: str = "eurofxref-hist-90d.xml"

    def __post_init__(self) -> None:
        bad = [c for c in self.currencies if not (len(c) == 3 and c.isalpha() and c.isupper())]
        if bad or not self.currencies:
            raise ValueError(f"currencies must be codes of three letters, was {self.currencies}")
        if self.interface not in {"data_api", "history", "latest"}:
            raise ValueError(f"interface must be one of the three, was {self.interface!r}")


class EcbSource:
    """A `Source` of daily bars "FX.EUR<currency>": units of the currency for one euro."""

    name = "ecb"
    tables = (BARS.name,)

    def __init__(self, settings: EcbSettings, client: HttpClient) -> None:
        self._settings = settings
        self._client = client

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the rates with start <= event_time < end; event_time is the fixing (16:00).

        Raises SourceUnavailableError, SourceRefusedError, ValueError for another table.
        """
        if table != BARS.name:
            raise ValueError(f"table must be {BARS.name!r}, was {table!r}")
        ask = {"data_api": self._data_api, "history": self._history, "latest": self._latest}
        rates = ask[self._settings.interface](utc(start), utc(end))
        if rates["currency"].has_nulls():
            raise SourceRefusedError("currency of ECB rates must be given, was null")
        wanted = rates.filter(
            pl.col("currency").is_in(list(self._settings.currencies)),
            pl.col("close").is_not_null() & ~pl.col("close").is_in(_HOLES),
        )
        typed = days(numbers(wanted, ("close",), "ECB rates"), ("date",), "ECB rates")
        rows = with_session_close(typed, "date", "TARGET").with_columns(
            instrument_id=pl.lit("FX.EUR") + pl.col("currency"),
            interval=pl.lit("1d"),
            knowledge_time=pl.col("event_time") + PUBLICATION_LAG,
            adjustment=pl.lit("raw"),
            source=pl.lit(f"ecb/{self._settings.interface}"),
        )
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        return BARS.conform(rows.filter(inside)).sort(*BARS.key)

    def instruments(self) -> pl.DataFrame:
        """Return the currency pairs asked for."""
        pairs = [f"FX.EUR{currency}" for currency in self._settings.currencies]
        return instruments(self._settings.currencies).filter(pl.col("instrument_id").is_in(pairs))

    def _data_api(self, start: datetime, end: datetime) -> pl.DataFrame:
        key = f"D.{'+'.join(self._settings.currencies)}.EUR.SP00.A"
        answer = self._client.get(
            f"{self._settings.api_url}/data/EXR/{key}",
            {
                "startPeriod": start.date().isoformat(),
                "endPeriod": end.date().isoformat(),
                "format": "csvdata",
            },
            may_be_missing=True,
        )
        if answer.status == 404 or not answer.body.strip():  # no observation in the period
            return _no_rates()
        rows = _read_csv(answer.body)
        needed = {"CURRENCY", "TIME_PERIOD", "OBS_VALUE"}
        if not needed <= set(rows.columns):
            raise SourceRefusedError(f"EXR must have the columns {needed}, had {rows.columns}")
        return rows.select(
            pl.col("TIME_PERIOD").alias("date"),
            pl.col("CURRENCY").alias("currency"),
            pl.col("OBS_VALUE").alias("close"),
            "source_row",
        )

    def _history(self, start: datetime, end: datetime) -> pl.DataFrame:
        body = self._client.get(f"{self._settings.files_url}/eurofxref-hist.zip").body
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                info = archive.infolist()[0]
                if info.file_size > _HISTORY_BYTES_MAX:
                    raise SourceRefusedError(
                        f"the history must unpack to {_HISTORY_BYTES_MAX} bytes at most, "
                        f"was {info.file_size}"
                    )
                rows = _read_csv(archive.read(info))
        except (zipfile.BadZipFile, IndexError) as error:
            raise SourceRefusedError(f"the history must be a zip file, was not: {error}") from error
        rows = rows.select(c for c in rows.columns if c.strip())  # every line ends in a comma
        return rows.unpivot(
            index=["Date", "source_row"], variable_name="currency", value_name="close"
        ).rename({"Date": "date"})

    def _latest(self, start: datetime, end: datetime) -> pl.DataFrame:
        url = f"{self._settings.files_url}/{self._settings.latest_file}"
        try:
            root = ET.fromstring(self._client.get(url).body)
        except ET.ParseError as error:
            raise SourceRefusedError(f"{url} must be XML, was not: {error}") from error
        rows = [
            (day.attrib["time"], rate.get("currency"), rate.get("rate"))
            for day in root.iter()
            if "time" in day.attrib
            for rate in day
        ]
        names = ("date", "currency", "close")
        frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
        return frame.with_row_index("source_row").cast({"source_row": pl.Int64})


def _read_csv(content: bytes) -> pl.DataFrame:
    try:
        rows = pl.read_csv(io.BytesIO(content), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise SourceRefusedError(f"the ECB must answer with CSV, did not: {first}") from error
    return rows.with_row_index("source_row").cast({"source_row": pl.Int64})


def _no_rates() -> pl.DataFrame:
    names = ("date", "currency", "close")
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String()), "source_row": pl.Int64()})
