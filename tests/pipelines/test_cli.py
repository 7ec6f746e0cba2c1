"""The command line: help for every verb, one line for every mistake, exit code 1."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from click.testing import Result
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.row_address import parse_row
from trader.heartbeat import Heartbeat, heartbeat_path

VERBS = ["run", "ui", "status", "explain", "validate", "log", "simulate-gateway", "sql", "tiers"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the commands set in the environment inside the test."""
    monkeypatch.setenv("APIARY_CONFIG", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr("pipelines.resources._workshops", {})


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output) > 100


def test_help_is_shown_as_it_is_written() -> None:
    """Typer reads [words] as a style and :words: as a picture, and shows neither."""
    written = list(_help_of(get_command(app)))
    assert len(written) > 100
    assert [text for text in written if Text.from_markup(text).plain != text] == []


def _help_of(command: Any) -> Iterator[str]:
    yield command.help or ""
    yield from (parameter.help or "" for parameter in command.params)
    for nested in getattr(command, "commands", {}).values():
        yield from _help_of(nested)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--files", "/no/such/folder"], "--files must be a folder that exists"),
        (["run", "--mapping", "x.yaml"], "--mapping, --home and hints must come with --files"),
        (["run", "--zone", "UTC"], "hints must come with --files, came alone"),
        (["run", "--files", "tests", "--asset-class", "bond"], "--asset-class: Input should be"),
        (["mapping", "/no/such/folder"], "the folder must be one that exists"),
        (["status", "--config", "/no/such/file.yaml"], "must be a file that exists"),
        (["explain", "--row", "nonsense"], "a row must be named TABLE:NAME:TIME"),
        (["explain", "A1", "--row", "bars:US.AAPL:2020-03-16"], "--row and no order, must be"),
        (["explain", ""], "must be given, was ''"),
        (["log", "export", "--to", "x.csv", "--from", "9", "--until", "2"], "not lie before"),
        (["simulate-gateway", "--script", "/no/such"], "apiary: /no/such: No such file"),
    ],
)
def test_a_mistake_gets_one_line(words: list[str], told: str) -> None:
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize(
    ("row", "moment"),
    [
        ("bars:US.AAPL:2020-03-16", "2020-03-16T20:00:00+00:00"),
        ("corporate_actions:US.AAPL:2020-05-08", "2020-05-08T13:30:00+00:00"),
        ("macro:DGS10:2020-03-16", "2020-03-16T00:00:00+00:00"),
        ("macro:DGS10:2020-03-16T21:00", "2020-03-16T21:00:00+00:00"),
    ],
)
def test_a_row_is_addressed_by_its_session(row: str, moment: str) -> None:
    address = parse_row(row)
    assert row.startswith(f"{address.table}:{address.identity}:")
    assert address.event_time.isoformat() == moment
    assert address.whole_day == (row == "macro:DGS10:2020-03-16")


@pytest.fixture
def tiered_config(tmp_path: Path) -> Path:
    """A desk whose fills lie in two tiers."""
    from pipelines.resources import workshop
    from pipelines.settings import choose_config, settings_for_files
    from tests.adapters.stores.test_tiers import make_fills

    config = settings_for_files(tmp_path, None, tmp_path / "home", base=None)
    choose_config(config)
    rows: Any = workshop().get("rows")
    rows.write("fills", make_fills(50, 10))
    tables: Any = workshop().get("tables")
    tables.add("fills", make_fills(0, 20))
    return config


def ask(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--config", str(config)])


def test_sql_answers_over_all_tiers(tiered_config: Path) -> None:
    query = "select count(*) as n, max(quantity) as q from fills"

    assert ask(tiered_config, "sql", query, "--csv").output == "n,q\n30,59.0\n"
    assert json.loads(ask(tiered_config, "sql", query, "--json").output) == [{"n": 30, "q": 59.0}]
    assert "59.0" in ask(tiered_config, "sql", query).output
    pinned = ask(tiered_config, "sql", query, "--csv", "--version", "fills=0")
    assert pinned.output == "n,q\n20,19.0\n"


def test_sql_answers_as_of_what_was_known_and_of_every_version(tiered_config: Path) -> None:
    """A revised row hid the one before it, and no option showed what had been known."""
    from pipelines.resources import workshop
    from tests.adapters.stores.test_tiers import make_fills

    later = pl.col("knowledge_time") + timedelta(days=1)
    revised = make_fills(55, 1, price=7.0).with_columns(later)
    rows: Any = workshop().get("rows")
    rows.write("fills", revised)
    before = str(revised["knowledge_time"].item() - timedelta(hours=1))
    query = "select price from fills where fill_id = 'F55' order by price"

    assert ask(tiered_config, "sql", query, "--csv").output == "price\n7.0\n"
    then = ask(tiered_config, "sql", query, "--csv", "--known-by", before)
    assert then.output == "price\n100.0\n"
    every = ask(tiered_config, "sql", query, "--csv", "--revisions")
    assert every.output == "price\n7.0\n100.0\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["select * from nothing_here"], "was nothing_here"),
        (["select 1", "--csv", "--json"], "one of --csv and --json"),
        (["select 1", "--version", "fills"], "--version must be TABLE=VERSION"),
        (["select * from fills", "--version", "fills=9"], "no version 9 that can be read, its"),
        (["select * from fills", "--version", "fils=0"], "of a table of the query, was of fils"),
        (["select * from fills", "--known-by", "noon"], "--known-by must be a moment"),
        (["select * from read_csv('/etc/passwd')"], "disabled"),
    ],
)
def test_sql_that_cannot_be_answered_is_one_line(
    tiered_config: Path, words: list[str], told: str
) -> None:
    outcome = ask(tiered_config, "sql", *words)

    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output


def test_damage_is_named_and_fails(tiered_config: Path, tmp_path: Path) -> None:
    sound = ask(tiered_config, "tiers", "verify")
    file = next((tmp_path / "home" / "cold" / "fills").glob("_month=*/*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)

    damaged = ask(tiered_config, "tiers", "verify")

    assert (sound.exit_code, damaged.exit_code) == (0, 1)
    assert file.name in damaged.output
    shown = ask(tiered_config, "tiers", "show")
    assert shown.exit_code == 0, "who looks for damage must be shown the table"
    assert "cold" in shown.output
    file.unlink()
    assert "cold" in ask(tiered_config, "tiers", "show").output


def test_rows_are_restored_by_day(tiered_config: Path) -> None:
    days = ["--start", "2024-01-03", "--end", "2024-01-06", "--until", "2030-01-01"]

    outcome = ask(tiered_config, "tiers", "restore", "fills", *days)

    assert "3 rows of fills are warm" in outcome.output
    counted = ask(tiered_config, "sql", "select count(*) as n from fills", "--csv")
    assert counted.output == "n\n30\n"


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (["2024-01-06", "2024-01-03", "2090-01-01"], "--end must lie after --start"),
        (["2024-01-03", "2024-01-06", "2024-01-07"], "--until must lie after today"),
    ],
)
def test_rows_are_not_restored_for_days_that_cannot_be(
    tiered_config: Path, days: list[str], told: str
) -> None:
    """Reversed days and a past end said that rows were warm, and none was."""
    start, end, until = days
    options = ["--start", start, "--end", end, "--until", until]

    outcome = ask(tiered_config, "tiers", "restore", "fills", *options)

    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())


@pytest.mark.parametrize(
    "words", [["ui", "--port", "70000"], ["simulate-gateway", "--for-s", "-1"]]
)
def test_a_number_out_of_its_bounds_is_refused_at_once(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_each_call_tells_of_the_configuration_that_it_was_given(tmp_path: Path) -> None:
    for name in ("one", "two", "one"):
        config, home = tmp_path / f"{name}.yaml", tmp_path / name
        config.write_text(yaml.safe_dump({"home": str(home), "sources": [{"kind": "default"}]}))
        Heartbeat(heartbeat_path(home), 0).beat(1, {"feed": name}, last=True)
        told = CliRunner().invoke(app, ["status", "--config", str(config)])
        assert f"feed {name}," in told.output
