"""Thousands of files of a layout are looked at together, and each is told what it says alone."""

import gzip
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from adapters.sources import like_files
from adapters.sources.draft import Draft
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.like_files import FileError, LikeFiles
from tests.adapters.sources.test_inference import SESSIONS

DAYS = [*SESSIONS, *(f"2020-03-{day:02}" for day in range(2, 7))]


def plain(stamps: list[str], price: str = "10.{:02}", header: str = "Date,Close,Volume") -> str:
    rows = (f"{stamp},{price.format(n)},5" for n, stamp in enumerate(stamps))
    return "\n".join([header, *rows]) + "\n"


def swapped(day: str, form: str) -> str:
    year, month, date = day.split("-")
    return form.format(y=year, m=month, d=date)


ODD = {
    "whole": plain(DAYS),
    "short": plain(DAYS[3:5]),
    "one": plain(DAYS[:1]),
    "crlf": plain(DAYS).replace("\n", "\r\n"),
    "no_end": plain(DAYS).rstrip("\n"),
    "blank_lines": plain(DAYS) + "\n\n",
    "a_blank_line": plain(DAYS).replace("\n2020-01-08", "\n\n2020-01-08"),
    "bom": "\ufeff" + plain(DAYS),
    "finer": plain(DAYS, "10.{:02}25"),
    "whole_prices": plain(DAYS, "1{}"),
    "slashed": plain([swapped(day, "{m}/{d}/{y}") for day in ["2020-01-31", *DAYS]]),
    "unsure": plain([swapped(day, "{d}/{m}/{y}") for day in DAYS]),
    "german": plain([swapped(day, "{d}.{m}.{y}") for day in DAYS]),
    "dense": plain([day.replace("-", "") for day in DAYS]),
    "epochs": plain([str(1_577_923_200 + 86_400 * n) for n in range(9)]),
    "minutes": plain([f"2020-01-02 10:{minute:02}" for minute in range(0, 50, 5)]),
    "zoned": plain([f"{day}T16:00:00-05:00" for day in DAYS]),
    "midnights": plain([f"{day}T00:00:00Z" for day in DAYS]),
    "a_bad_day": plain(["soon", *DAYS, *(f"2020-02-{n}" for n in range(10, 15))]),
    "bad_days": plain(["soon", "late", "never", *DAYS[:3]]),
    "no_days": plain(["", "NaN"]),
    "long_line": plain(DAYS) + "2020-03-09,1,2,3,4\n",
    "short_line": plain(DAYS) + "2020-03-09,1\n",
    "quoted": plain([f'"{day}"' for day in DAYS]),
    "no_rows": "Date,Close,Volume\n",
    "semicolons": plain(DAYS).replace(",", ";").replace(".", ","),
    "no_prices": plain(DAYS, ""),
}
TICKED = "<TICKER>,<DATE>,<TIME>,<CLOSE>\n"
CLOCKS = {
    f"clock_{name}": TICKED + "".join(f"{name}.US,{d.replace('-', '')},{t},1.5\n" for d in DAYS)
    for name, t in (("still", "000000"), ("close", "160000"), ("again", "000000"))
} | {"clock_two": TICKED + "A.US,20200102,000000,1\nB.L,20200102,000000,1\n,20200103,000000,2\n"}
VENUES = {
    f"venue_{place}": f"Date,Close,Exchange\n2020-01-02,1,{place}\n2020-01-03,1,NYSE\n"
    for place in ("NASDAQ", "LSE", "")
}


def write(folder: Path) -> list[tuple[str, Path]]:
    folder.mkdir()
    for name, text in (ODD | CLOCKS | VENUES).items():
        (folder / f"{name}.csv").write_bytes(text.encode())
    (folder / "zipped.csv.gz").write_bytes(gzip.compress(plain(DAYS).encode()))
    for name, days in (("p1", DAYS), ("p2", DAYS[4:])):
        frame = pl.DataFrame({"Date": days, "Close": [1.25] * len(days)})
        frame.write_parquet(folder / f"{name}.parquet")
        frame.with_columns(pl.col("Date").str.to_datetime()).write_parquet(
            folder / f"{name}_typed.parquet"
        )
    return [(path.name, path) for path in sorted(folder.iterdir())]


def told(answer: Draft | FileError) -> tuple[object, ...]:
    if not isinstance(answer, Draft):
        return type(answer), str(answer)
    nothing = pl.Series(dtype=pl.Datetime("us"))
    moments = answer.stamps.moments
    bare = replace(answer, stamps=replace(answer.stamps, moments=nothing), columns={})
    return repr(bare), dict(answer.columns), moments.dtype, moments.to_list()


@pytest.mark.parametrize("backwards", [False, True])
def test_together_each_file_says_what_it_says_alone(tmp_path: Path, *, backwards: bool) -> None:
    """Whichever file of a layout is looked at first, and whatever is odd about another."""
    files = write(tmp_path / "in")[:: -1 if backwards else 1]
    together = LikeFiles(Hints(), lambda _: None).drafts(files)
    for name, path in files:
        alone = LikeFiles(Hints(), lambda _: None).drafts([(name, path)])[name]
        assert told(together[name]) == told(alone), name


def test_the_first_file_of_a_layout_is_looked_at_alone_and_the_others_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []
    look = like_files.draft_of

    def counted(file, raw, hints) -> Draft:
        alone.append(file.relative)
        return look(file, raw, hints)

    monkeypatch.setattr(like_files, "draft_of", counted)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(60):
        name = f"{'ABCDEFGHIJ'[number // 10]}{'KLMNOPQRST'[number % 10]}X"
        (folder / f"{name}.csv").write_text(plain(DAYS[number % 4 :]))
        more = plain(DAYS, header="Date,Close,Shares")
        (folder / f"{name}Y.csv").write_text(more)
    mapping = infer_mapping(folder, Hints())
    assert alone == ["AKX.csv", "AKXY.csv"]
    assert len(mapping.tables) == 2


def test_a_batch_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many batches say what one says."""
    files = write(tmp_path / "in")
    whole = LikeFiles(Hints(), lambda _: None).drafts(files)
    monkeypatch.setattr(like_files, "_ROWS_MAX", 15)
    parts = LikeFiles(Hints(), lambda _: None).drafts(files)
    assert {name: told(answer) for name, answer in whole.items()} == {
        name: told(answer) for name, answer in parts.items()
    }
