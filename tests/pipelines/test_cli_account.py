"""`apiary account`: what differs is shown with the command that settles it, here or by a trader."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from tests.trader.homes import make_home, run_to_end

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})


def run(config: Path, *words: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, ["account", *words, "--config", str(config)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = make_home(tmp_path_factory.mktemp("account"))
    run_to_end(config)
    return config


def test_an_account_that_agrees_is_told(config: Path) -> None:
    assert run(config, "show") == (0, "cash and positions agree")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cash", "USD=5"], "the broker's USD must differ from the log by +5, as claimed, it"),
        (["--cash", "USD"], "--cash must be given as USD=5000, each name once, was 'USD'"),
        (["--cash", "USD=1", "--cash", "USD=2"], "each name once, was 'USD=2'"),
        (["--position", "US.BEE=x"], "the quantity of US.BEE must be a number, was 'x'"),
        (["--fills"], "the account must show executions of other orders, it shows none"),
        ([], "cash, positions or fills must be claimed, none was"),
    ],
)
def test_what_is_not_so_is_refused_in_one_line(config: Path, words: list[str], said: str) -> None:
    code, told = run(config, "settle", *words, "--by", "anna", "--reason", "a drill")
    assert code == 1
    assert said in told
