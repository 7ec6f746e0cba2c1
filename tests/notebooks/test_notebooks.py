"""The notebooks run from top to bottom on a small home, show pictures, and hold no outputs."""

import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient

from adapters.stores.trial_ledger import SqliteTrialLedger
from models.experiments.trials import count_trials
from pipelines import resources
from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import market_rows, write_market

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# These add to the trial ledger and to the results beside it, and to nothing else.
LAUNCHING = ("04_comparing_experiments", "05_launching_an_experiment")
SIZE_MAX_BYTES = 40_000
SQLITE = b"SQLite format 3"
pytestmark = pytest.mark.xdist_group("notebooks")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

Execute = Callable[[Path], Any]


def _spoiled(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with one high below its close, so that something is quarantined."""
    bad_day = rows["date"].unique().sort()[-30]
    spoiled = (pl.col("date") == bad_day) & (pl.col("symbol") == "ELK")
    return rows.with_columns(
        pl.when(spoiled).then(pl.col("high") * 0.5).otherwise(pl.col("high")).alias("high")
    )


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after one run of the whole chain; the kernels find it through APIARY_CONFIG."""
    path = tmp_path_factory.mktemp("notebooks")
    mapping = write_market(path / "data", _spoiled(market_rows()))
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch) as home,
    ):
        home.chain.whole(home.windows)
        yield home


@pytest.fixture(scope="module")
def execute(traded: Home) -> Execute:
    """Run a notebook on the home, in a kernel of its own as JupyterLab does; each runs once."""

    @cache
    def run(path: Path) -> Any:
        notebook = nbformat.read(path, as_version=4)
        folder = {"metadata": {"path": str(path.parent)}}
        before = _content(traded.workshop.home)
        client = NotebookClient(notebook, timeout=240, kernel_name="python3", resources=folder)
        client.execute()
        after = _content(traded.workshop.home)
        if path.stem in LAUNCHING:
            before, after = (_beside_backtests(traded.workshop.home, c) for c in (before, after))
        assert after == before, f"{path.stem} must only read the home"
        return notebook

    return run


def _content(home: Path) -> dict[str, bytes | tuple[str, ...]]:
    """Return all that the home holds: files by bytes, databases by what is in them.

    The bytes of a database change when its last reader leaves and tidies up.
    """
    found: dict[str, bytes | tuple[str, ...]] = {}
    for path in home.rglob("*"):
        if not path.is_file() or path.name.endswith(("-shm", "-wal", ".lock")):
            continue
        data = path.read_bytes()
        if data.startswith(SQLITE):
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                found[str(path)] = tuple(connection.iterdump())
        else:
            found[str(path)] = data
    return found


def _beside_backtests(home: Path, content: dict[str, Any]) -> dict[str, Any]:
    written = tuple(str(home / name) for name in ("backtests", "experiments"))
    return {path: held for path, held in content.items() if not path.startswith(written)}


def _outputs(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


@each_notebook
def test_a_notebook_runs_to_its_end_and_shows_pictures(execute: Execute, path: Path) -> None:
    outputs = _outputs(execute(path))
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) >= 2


def test_the_session_is_decided_again_to_the_bit_and_explained(execute: Execute) -> None:
    notebook = execute(FOLDER / "03_one_session_of_the_colony.ipynb")
    text = "".join(o["text"] for o in _outputs(notebook) if o["output_type"] == "stream")
    assert "the same decision, to the bit" in text
    assert "abstained: " in text, "each sense's silence must be tried"


def test_what_a_notebook_tries_is_on_the_trial_ledger(execute: Execute, traded: Home) -> None:
    """Variants of 04 and the sweep of 05 count, though nobody wrote their number down."""
    for path in NOTEBOOKS:
        if path.stem in LAUNCHING:
            execute(path)
    ledger = SqliteTrialLedger(traded.workshop.home / "backtests" / "trials.db").records()
    assert count_trials(ledger, "ablations").trials == 10
    assert count_trials(ledger, "from_a_notebook").trials == 4
    pages = traded.workshop.home / "backtests" / "tearsheets"
    assert (pages / "from_a_notebook.html").is_file()


@each_notebook
def test_without_a_run_a_notebook_says_so_in_one_line(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "apiary.yaml"
    config.write_text(f"home: {tmp_path / 'home'}\nsources: [{{kind: default}}]\n")
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    monkeypatch.setattr(resources, "_workshops", {})
    monkeypatch.chdir(FOLDER)
    opening = next(c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code")
    settings = pl.Config(), plt.rc_context(), warnings.catch_warnings()
    with pytest.raises(SystemExit) as stopped, settings[0], settings[1], settings[2]:
        exec(compile(opening.source, path.name, "exec"), {})
    assert "must hold a run to look at, holds none" in str(stopped.value)
    assert "\n" not in str(stopped.value)


@each_notebook
def test_a_notebook_is_kept_small_and_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size <= SIZE_MAX_BYTES
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_there_is_a_notebook_for_each_question() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]
