"""The command line: help for every verb, one line for every mistake, exit code 1."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.row_address import parse_row

VERBS = ["run", "ui", "status", "explain", "validate", "log", "simulate-gateway"]


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--files", "/no/such/folder"], "--files must be a folder that exists"),
        (["run", "--mapping", "x.yaml"], "--mapping, --home and hints must come with --files"),
        (["run", "--zone", "UTC"], "hints must come with --files, came alone"),
        (["run", "--files", "tests", "--asset-class", "bond"], "--asset-class: Input should be"),
        (["mapping", "/no/such/folder"], "the folder must be one that exists"),
        (["status", "--config", "/no/such/file.yaml"], "must be a file that exists"),
        (["explain", "--row", "nonsense"], "a row must be named TABLE:ID:TIME"),
    ],
)
def test_a_mistake_gets_one_line(words: list[str], told: str) -> None:
    outcome = CliRunner().invoke(app, words)
    assert outcome.exit_code == 1
    assert told in " ".join(outcome.output.split())
    assert "Traceback" not in outcome.output


def test_a_row_is_addressed_by_its_session() -> None:
    address = parse_row("bars:US.AAPL:2020-03-16")
    assert (address.table, address.identity) == ("bars", "US.AAPL")
    assert address.event_time.isoformat() == "2020-03-16T20:00:00+00:00"
