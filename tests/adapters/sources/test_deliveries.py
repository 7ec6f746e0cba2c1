"""Files that hold the same days again are deliveries: what they change is known when they are."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping, to_yaml
from adapters.sources.mapping import MappingError, load_mapping, mapping_from
from features import calendars
from features.schemas import MISSING_LATER
from tests.adapters.sources.test_inference import EVER

DAYS: list[date] = calendars.sessions("XNYS", date(2023, 12, 11), date(2024, 1, 13))[
    "session"
].to_list()
FIRST, SECOND = date(2024, 1, 5), date(2024, 1, 12)  # Fridays
REVISED = date(2024, 1, 3)
CLOSES = {day: 100.0 + n for n, day in enumerate(DAYS)}


def rows(
    until: date, since: date = DAYS[0], revised: float | None = None, without: tuple[date, ...] = ()
) -> list[tuple[date, float]]:
    held = [day for day in DAYS if since <= day <= until and day not in without]
    return [(day, revised if revised and day == REVISED else CLOSES[day]) for day in held]


def long(held: list[tuple[date, float]]) -> str:
    """Bars of two symbols in one file; those of the second are ten times the first's."""
    lines = [
        f"{name},{day},{close * factor}"
        for day, close in held
        for name, factor in (("AAPL", 1), ("IBM", 10))
    ]
    return "\n".join(["symbol,date,close", *lines]) + "\n"


def one(held: list[tuple[date, float]]) -> str:
    """Bars of the symbol that the file is named for."""
    return "\n".join(["date,close", *(f"{day},{close}" for day, close in held)]) + "\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def opened(folder: Path, hints: Hints | None = None) -> FileSource:
    """The folder as it is inferred, after its mapping went through a file."""
    mapping = infer_mapping(folder, hints)
    written = folder.parent / "inferred.yaml"
    written.write_text(to_yaml(mapping))
    assert load_mapping(written) == mapping
    return FileSource(folder, mapping)


def close_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 21, tzinfo=UTC)


def over(day: date) -> datetime:
    """When a day of New York's winter is over."""
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC) + timedelta(days=1)


def told(source: FileSource, name: str = "US.AAPL") -> list[tuple[date, datetime, float]]:
    found = source.fetch("bars", *EVER).filter(instrument_id=name)
    found = found.sort("event_time", "knowledge_time")
    times = found.select(pl.col("event_time").dt.date(), "knowledge_time", "close")
    return list(times.iter_rows())


def expected(factor: float = 1, *, known: datetime | None = None) -> list[tuple[object, ...]]:
    """Every day once as it was first told, and the revised one a second time."""
    lag = timedelta(minutes=15)
    truth = [(day, close_of(day) + lag, CLOSES[day] * factor) for day in DAYS if day <= SECOND]
    return sorted([*truth, (REVISED, known or over(SECOND), 55.5 * factor)])


@pytest.mark.parametrize(
    "name",
    [
        "prices_{:%Y-%m-%d}.csv", "prices{:%Y%m%d}.csv", "{:%Y_%m_%d}/prices.csv",
        "eod.{:%d.%m.%Y}.csv", "eod-{:%m-%d-%Y}.csv", "a/prices_{:%Y%m%d}_183000.csv",
        "{0:%Y-%m-%d}/prices_{0:%Y%m%d}.csv", "prices_{:%Y-%m-%dT18-30-05Z}.csv",
        "prices_2023-12-11_{:%Y-%m-%d}.csv",
    ],
)  # fmt: skip
@pytest.mark.parametrize("since", [DAYS[0], date(2024, 1, 2)])
def test_what_a_later_delivery_changes_is_known_when_its_day_is_over(
    tmp_path: Path, name: str, since: date
) -> None:
    """Whether it holds everything again or the last two weeks; the rest stays as it was."""
    files = {
        name.format(FIRST): long(rows(FIRST)),
        name.format(SECOND): long(rows(SECOND, since, revised=55.5)),
    }
    source = opened(write(tmp_path / "in", files))
    assert told(source) == expected()
    assert told(source, "US.IBM") == expected(10)
    assert source.fetch("bars", *EVER)["source"].n_unique() == 1


@pytest.mark.parametrize(
    "name",
    ["{s}_{d}.csv", "{s}-{d}.csv", "{d}_{s}.csv", "{d}/{s}.csv", "{s}/{d}.csv", "daily_{s}_{d}.csv",
     "{s}.{d}.csv"],
)  # fmt: skip
@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d"])
def test_files_of_a_symbol_and_a_day_are_deliveries_of_it(
    tmp_path: Path, name: str, form: str
) -> None:
    files = {
        name.format(s=symbol, d=day.strftime(form)): one(held)
        for symbol in ("AAPL", "IBM")
        for day, held in ((FIRST, rows(FIRST)), (SECOND, rows(SECOND, revised=55.5)))
    }
    source = opened(write(tmp_path / "in", files))
    assert told(source) == told(source, "US.IBM") == expected()
    row = source.fetch("bars", *EVER).filter(close=55.5).row(0, named=True)
    path, number = source.locate(row["source"], row["source_row"])
    assert path.read_text().splitlines()[number + 1] == f"{REVISED},55.5"


def test_a_snapshot_a_day_tells_each_revision_once(tmp_path: Path) -> None:
    """Changed on the fourth day and changed back on the sixth: three versions of that day."""
    last = [day for day in DAYS if day >= REVISED][:6]
    files = {
        f"prices_{day}.csv": long(rows(day, revised=None if number in (0, 1, 2, 5) else 55.5))
        for number, day in enumerate(last)
    }
    source = opened(write(tmp_path / "in", files))
    of_day = [version for version in told(source) if version[0] == REVISED]
    assert [(known, close) for _, known, close in of_day] == [
        (close_of(REVISED) + timedelta(minutes=15), CLOSES[REVISED]),
        (over(last[3]), 55.5),
        (over(last[5]), CLOSES[REVISED]),
    ]
    assert len(told(source)) == len([d for d in DAYS if d <= last[-1]]) + 2


def test_a_record_that_a_delivery_lacked_is_known_by_the_next(tmp_path: Path) -> None:
    """Its day had been delivered without it; a symbol that is new has its history as any other."""
    third = date(2024, 1, 12)
    files = {
        f"prices_{FIRST}.csv": long(rows(FIRST, without=(REVISED,))),
        f"prices_{third}.csv": long(rows(third))
        + "".join(f"KO,{day},{close}\n" for day, close in rows(third)),
    }
    source = opened(write(tmp_path / "in", files))
    late = {day: known for day, known, _ in told(source)}
    assert late.pop(REVISED) == over(third)
    assert all(known == close_of(day) + timedelta(minutes=15) for day, known in late.items())
    new = {day: known for day, known, _ in told(source, "US.KO")}
    assert all(known == close_of(day) + timedelta(minutes=15) for day, known in new.items())


def test_a_column_that_comes_later_is_a_new_version_of_what_it_says_more_of(tmp_path: Path) -> None:
    wide = "date,symbol,close,volume\n" + "".join(f"{d},AAPL,{c},7\n" for d, c in rows(SECOND))
    files = {f"prices_{FIRST}.csv": long(rows(FIRST)), f"prices_{SECOND}.csv": wide}
    source = opened(write(tmp_path / "in", files))
    bars = source.fetch("bars", *EVER).filter(instrument_id="US.AAPL")
    assert bars["source"].n_unique() == 1
    again = bars.filter(pl.col("volume") == 7, pl.col("event_time") <= close_of(FIRST))
    assert again["knowledge_time"].unique().to_list() == [over(SECOND)]


def test_two_values_of_a_day_within_a_delivery_are_both_kept(tmp_path: Path) -> None:
    """To judge them is for the validation, as in any file."""
    both = long(rows(SECOND)) + f"AAPL,{REVISED},55.5\n"
    files = {f"prices_{FIRST}.csv": long(rows(FIRST)), f"prices_{SECOND}.csv": both}
    source = opened(write(tmp_path / "in", files))
    versions = [(known, close) for day, known, close in told(source) if day == REVISED]
    assert sorted(versions) == sorted(
        [
            (close_of(REVISED) + timedelta(minutes=15), CLOSES[REVISED]),
            (over(SECOND), CLOSES[REVISED]),
            (over(SECOND), 55.5),
        ]
    )


UNCLEAR = [
    ("prices_v9.csv", "prices_v10.csv"),
    ("prices.csv", "prices_new.csv"),
    ("prices_2023-12-01.csv", "prices_2023-12-08.csv"),  # days before what the files hold
    ("prices_01-02-2025.csv", "prices_01-03-2025.csv"),  # day or month first
]


@pytest.mark.parametrize("names", UNCLEAR)
def test_files_of_the_same_days_that_no_day_orders_are_asked_about(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    first, second = long(rows(FIRST)), long(rows(SECOND, revised=55.5))
    folder = write(tmp_path / "in", dict(zip(names, (first, second), strict=True)))
    with pytest.raises(MappingError, match=r"1 more: is it another delivery.*--deliveries by-name"):
        infer_mapping(folder)
    by_name = opened(folder, Hints(deliveries="by-name"))
    if "01-02" not in names[0]:
        known = close_of(SECOND) + timedelta(minutes=15)  # the last record of the later file
        assert told(by_name) == expected(known=known)
    apart = opened(folder, Hints(deliveries="apart")).fetch("bars", *EVER)
    assert apart["source"].n_unique() == 2


def test_a_word_on_days_orders_them(tmp_path: Path) -> None:
    """The second of January and the second of February, or the first of each."""
    files = {"p_02-02-2024.csv": one(rows(SECOND)), "p_02-03-2024.csv": one(rows(SECOND, FIRST))}
    texts = {name: text.replace("date,", "date,symbol,") for name, text in files.items()}
    texts = {
        name: text.replace("\n2", "\n2").replace(",1", ",KO,1") for name, text in texts.items()
    }
    folder = write(tmp_path / "in", texts)
    with pytest.raises(MappingError, match="--deliveries by-name"):
        infer_mapping(folder)
    [table] = infer_mapping(folder, Hints(day_first=True)).tables
    assert table.deliveries is not None
    assert table.deliveries.format == "%d-%m-%Y"


def test_vintages_of_a_macro_file_are_versions_of_its_series(tmp_path: Path) -> None:
    texts = ["date,value\n2024-01-01,3.1\n2024-02-01,3.2\n",
             "date,value\n2024-01-01,3.15\n2024-02-01,3.2\n2024-03-01,3.3\n"]  # fmt: skip
    names = ("cpi_2024-03-13.csv", "cpi_2024-04-12.csv")
    folder = write(tmp_path / "in", dict(zip(names, texts, strict=True)))
    source = opened(folder, Hints(published="40d"))
    values = source.fetch("macro", *EVER).sort("event_time", "knowledge_time")
    assert values["series_id"].unique().to_list() == ["cpi"]
    assert values["value"].to_list() == [3.1, 3.15, 3.2, 3.3]
    assert values["knowledge_time"][1] == datetime(2024, 4, 13, 12, tzinfo=UTC)  # everywhere


@pytest.mark.parametrize("name", ["{}.csv", "of_{}.csv", "prices_{0:%b}_{0}.csv", "x/{}.csv"])
def test_files_of_a_day_each_are_pieces_of_one_data_set(tmp_path: Path, name: str) -> None:
    """Whatever else is in their names: they hold no day twice."""
    files = {name.format(day): long(rows(day, since=day)) for day in DAYS}
    source = opened(write(tmp_path / "in", files))
    assert [close for _, _, close in told(source)] == [CLOSES[day] for day in DAYS]
    assert source.fetch("bars", *EVER)["source"].n_unique() == 1


def test_wide_files_are_delivered_as_well(tmp_path: Path) -> None:
    wide = {
        day: "Date,AAPL,IBM\n" + "".join(f"{d},{c},{10 * c}\n" for d, c in held)
        for day, held in ((FIRST, rows(FIRST)), (SECOND, rows(SECOND, revised=55.5)))
    }
    files = {f"closes_{day:%Y%m%d}.csv": text for day, text in wide.items()}
    source = opened(write(tmp_path / "in", files))
    assert told(source, "US.IBM") == expected(10)


def test_a_day_in_the_name_of_files_that_hold_other_days_is_no_delivery(tmp_path: Path) -> None:
    files = {f"eod_{day}.csv": long(rows(day, since=day)) for day in DAYS}
    source = opened(write(tmp_path / "in", files))
    assert all(table.deliveries is None for table in infer_mapping(tmp_path / "in").tables)
    assert [close for _, _, close in told(source)] == [CLOSES[day] for day in DAYS]


def test_a_later_delivery_falls_under_the_pattern_of_those_before(tmp_path: Path) -> None:
    """Its year as well, where other files of the folder are of another table."""
    paid = "symbol,ex_date,amount\nAAPL,2023-12-20,0.5\n"
    days = (date(2023, 12, 22), date(2023, 12, 29))
    folder = write(tmp_path / "in", {f"dividends_{day}.csv": paid for day in days})
    write(folder, {"AAPL.csv": one(rows(SECOND))})
    mapping = infer_mapping(folder)
    [actions] = [table for table in mapping.tables if table.table == "corporate_actions"]
    assert actions.files == ("dividends_*.csv",)
    write(folder, {"dividends_2024-01-12.csv": paid.replace("0.5", "0.75")})
    found = FileSource(folder, mapping).fetch("corporate_actions", *EVER)
    assert sorted(found["amount"].to_list()) == [0.5, 0.75]
    assert found.filter(amount=0.75)["knowledge_time"].to_list() == [over(SECOND)]


def lacked(source: FileSource) -> list[tuple[str, date]]:
    found = source.rejected("bars").filter(kind=MISSING_LATER)
    return [(json.loads(row["row"])["instrument_id"], row["event_time"].date())
            for row in found.iter_rows(named=True)]  # fmt: skip


@pytest.mark.parametrize("by_name", [False, True])
def test_a_record_that_a_later_delivery_lacks_stays_and_is_told(
    tmp_path: Path, by_name: bool
) -> None:
    """Whether it is withdrawn or a line was lost on the way, no file says."""
    names = ("a.csv", "b.csv") if by_name else (f"p_{FIRST}.csv", f"p_{SECOND}.csv")
    texts = (long(rows(FIRST)), long(rows(SECOND, without=(REVISED,))))
    hints = Hints(deliveries="by-name") if by_name else None
    source = opened(write(tmp_path / "in", dict(zip(names, texts, strict=True))), hints)
    assert [day for day, _, _ in told(source)] == [day for day in DAYS if day <= SECOND]
    assert lacked(source) == [("US.AAPL", REVISED), ("US.IBM", REVISED)]
    told_of = source.rejected("bars")
    assert told_of["severity"].unique().to_list() == ["warn"]
    assert told_of["reason"][0].startswith(
        f"a later delivery must hold what it spans: {names[1]} holds days around it and lacks "
    )
    path, _ = source.locate(told_of["source"][0], told_of["source_row"][0])
    assert path.name == names[0]


def test_a_shorter_delivery_lacks_nothing_outside_of_its_days(tmp_path: Path) -> None:
    """Neither the days before its first nor those after its last, for each instrument alone."""
    second = long(rows(SECOND, since=date(2024, 1, 4)))
    cut = "\n".join(line for line in second.splitlines() if not line.startswith("IBM,2024-01-1"))
    files = {f"p_{FIRST}.csv": long(rows(FIRST)), f"p_{SECOND}.csv": second,
             "p_2024-01-13.csv": cut + "\n"}  # fmt: skip
    assert lacked(opened(write(tmp_path / "in", files))) == []


def test_a_record_that_comes_back_is_not_missing(tmp_path: Path) -> None:
    days = (date(2024, 1, 5), date(2024, 1, 8), date(2024, 1, 12))
    texts = (long(rows(days[0])), long(rows(days[1], without=(REVISED,))), long(rows(days[2])))
    files = {f"p_{day}.csv": text for day, text in zip(days, texts, strict=True)}
    assert lacked(opened(write(tmp_path / "in", files))) == []


def test_values_of_a_series_that_a_later_vintage_lacks_are_told(tmp_path: Path) -> None:
    texts = ["date,value\n2024-01-01,3.1\n2024-02-01,3.2\n",
             "date,value\n2024-01-01,3.15\n2024-03-01,3.3\n"]  # fmt: skip
    names = ("cpi_2024-03-13.csv", "cpi_2024-04-12.csv")
    folder = write(tmp_path / "in", dict(zip(names, texts, strict=True)))
    told_of = opened(folder, Hints(published="40d")).rejected("macro")
    assert told_of["event_time"].dt.month().to_list() == [2]


DELIVERED = {
    "table": "bars", "files": "*.csv", "dataset": "prices", "symbol": "symbol",
    "instrument": {"id": "US.{symbol}"}, "time": {"column": "date", "stands_for": "session"},
    "columns": {"interval": {"constant": "1d"}, "close": "close"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("deliveries", "said"),
    [
        ({"by": "weight"}, "by must be one of"),
        ({"by": "day"}, "day must have the group"),
        ({"by": "day", "day": "("}, "day must be a regular expression"),
        ({"by": "name", "zone": "Mars"}, "zone must be a name"),
        ({"day": "(?P<day>.)"}, "deliveries must be complete"),
    ],
)
def test_a_mapping_that_cannot_be_gets_a_line(deliveries: dict[str, str], said: str) -> None:
    with pytest.raises(MappingError, match=said):
        mapping_from({"tables": [{**DELIVERED, "deliveries": deliveries}]}, name="x")


def test_a_file_that_tells_no_day_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {f"p_{FIRST}.csv": long(rows(FIRST)), "p_new.csv": long([])})
    by_day = {"by": "day", "day": r"p_(?P<day>.*)\.csv"}
    mapping = mapping_from({"tables": [{**DELIVERED, "deliveries": by_day}]}, name="x")
    with pytest.raises(MappingError, match=r"p_new\.csv must tell the day of its delivery"):
        FileSource(folder, mapping).fetch("bars", *EVER)


def test_what_a_delivery_adds_is_all_that_the_store_gets(tmp_path: Path) -> None:
    """Run after each delivery, the table holds what one run after all of them gives."""
    from adapters.stores.tables_delta import DeltaTableStore
    from features.schemas import BARS

    store = DeltaTableStore(tmp_path / "store")
    counts: list[int] = []
    for day, held in ((FIRST, rows(FIRST)), (SECOND, rows(SECOND, revised=55.5))):
        write(tmp_path / "in", {f"prices_{day}.csv": long(held)})
        found = opened(tmp_path / "in").fetch("bars", *EVER)
        receipt = store.append("bars", found, key=BARS.key, ingested_at=over(SECOND))
        counts.append(receipt.inserted_row_count)
    added = len(DAYS) - len(rows(FIRST))
    assert counts == [2 * len(rows(FIRST)), 2 * (added + 1)]
    stored = store.read("bars").filter(instrument_id="US.AAPL").sort("event_time", "knowledge_time")
    times = stored.select(pl.col("event_time").dt.date(), "knowledge_time", "close")
    assert list(times.iter_rows()) == expected()
