"""How series of macro files are named: two of them never by one name."""

from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred


def values_of(source: FileSource) -> dict[str, list[float]]:
    rows = source.fetch("macro", *EVER).sort("event_time")
    return {str(name): part["value"].to_list() for (name,), part in rows.group_by("series_id")}


def of_countries(head: str, line: str) -> str:
    cells = [(d, n, c) for n, c in enumerate(("DE", "FR")) for d in SESSIONS]
    return f"{head}\n" + "".join(line.format(day=d, place=c, value=n + 1.5) for d, n, c in cells)


DE, FR = [1.5] * len(SESSIONS), [2.5] * len(SESSIONS)


@pytest.mark.parametrize(
    ("head", "line", "names"),
    [
        # A column that names a series, and another one that tells two of that name apart (OECD).
        ("LOCATION,INDICATOR,TIME,Value", "{place},CPI,{day},{value}\n", ("CPI.DE", "CPI.FR")),
        # SDMX as the ECB writes it, where a key names the series, and as Eurostat does.
        (
            "KEY,FREQ,AREA,TIME_PERIOD,OBS_VALUE,OBS_STATUS,UNIT_MULT",
            "ICP.{place},D,{place},{day},{value},A,0\n",
            ("ICP.DE", "ICP.FR"),
        ),
        (
            "freq,unit,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG",
            "D,PC,{place},{day},{value},p\n",
            ("DE", "FR"),
        ),
        # Columns that say the same: the first names it.
        ("geo,area,date,value", "{place},in {place},{day},{value}\n", ("DE", "FR")),
    ],
)
def test_series_of_one_file_are_named_by_the_columns_that_tell_them_apart(
    tmp_path: Path, head: str, line: str, names: tuple[str, str]
) -> None:
    source = inferred(tmp_path, {"growth.csv": of_countries(head, line)})
    assert values_of(source) == dict(zip(names, (DE, FR), strict=True))


def test_series_that_only_several_columns_tell_apart_bear_the_names_of_all(tmp_path: Path) -> None:
    cells = [(g, u, d) for g in ("DE", "FR") for u in ("PC", "EUR") for d in SESSIONS]
    text = "n,geo,unit,date,value\n" + "".join(
        f"a{n},{g},{u},{d},{n}.5\n" for n, (g, u, d) in enumerate(cells)
    )
    found = values_of(inferred(tmp_path, {"growth.csv": text}))
    assert sorted(found) == ["DE.EUR", "DE.PC", "FR.EUR", "FR.PC"]
    assert found["DE.PC"] == [n + 0.5 for n in range(len(SESSIONS))]
    again = FileSource(tmp_path, infer_mapping(tmp_path))
    assert values_of(again) == found


def test_values_that_no_text_tells_apart_are_asked_about(tmp_path: Path) -> None:
    rows = "".join(f"a{n},{day},{n}.5\n" for n, day in enumerate(SESSIONS * 3))
    with pytest.raises(MappingError, match=r"names the series.*write series_id: in a mapping"):
        inferred(tmp_path, {"growth.csv": f"id,date,value\n{rows}"})


def test_releases_of_a_series_stay_versions_of_it(tmp_path: Path) -> None:
    rows = "".join(
        f"GDP,{status},2019-{month:02}-01,{n}.5,2020-0{n + 1}-27\n"
        for n, status in enumerate(("first", "second", "third"))
        for month in range(1, 7)
    )
    head = "series_id,status,period,value,publication_date\n"
    found = values_of(inferred(tmp_path, {"releases.csv": head + rows}))
    assert {name: len(values) for name, values in found.items()} == {"GDP": 18}


def portal(name: str, level: float) -> str:
    rows = "".join(f'"{d}","{d}","{level + n:.4f}"\n' for n, d in enumerate(SESSIONS))
    return f'DATE,TIME PERIOD,"{name}"\n{rows}'


@pytest.mark.parametrize(
    "names",
    [
        ("ECB Data Portal_20240101.csv", "ECB Data Portal_20240102.csv"),
        ("data.csv", "data (1).csv"),
        ("usd/rates_file.csv", "jpy/rates_file.csv"),
    ],
)
def test_files_of_one_name_are_named_by_their_values(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    """A dollar's and a yen's rate became one series, each day of it in contradiction."""
    texts = (portal("US dollar (EXR.USD)", 1.25), portal("Yen (EXR.JPY)", 120.5))
    found = values_of(inferred(tmp_path, dict(zip(names, texts, strict=True))))
    assert {name: values[0] for name, values in found.items()} == {
        "US_dollar_EXR_USD": 1.25,
        "Yen_EXR_JPY": 120.5,
    }


def test_files_of_one_name_in_two_folders_are_asked_about(tmp_path: Path) -> None:
    text = "date,value\n" + "".join(f"{d},1.5\n" for d in SESSIONS)
    with pytest.raises(MappingError, match=r"of the series of another file.*name each file by"):
        inferred(tmp_path, {"us/cpi.csv": text, "de/cpi.csv": text})


def test_years_of_one_series_in_two_folders_are_one(tmp_path: Path) -> None:
    files = {
        f"{name}/cpi.csv": "date,value\n" + "".join(f"{d},1.5\n" for d in days)
        for name, days in (("old", SESSIONS[:3]), ("new", SESSIONS[3:]))
    }
    source = inferred(tmp_path, files, Hints())
    assert values_of(source) == {"cpi": [1.5] * len(SESSIONS)}
    assert source.fetch("macro", *EVER).select(pl.col("value").count()).item() == len(SESSIONS)
