"""The notebooks run from top to bottom on a small home, show pictures, and are kept without outputs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import market_rows, write_market

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SIZE_MAX_BYTES = 40_000
pytestmark = pytest.mark.xdist_group("chain")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


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


def _execute(path: Path) -> Any:
    """Run a notebook in a kernel of its own, as JupyterLab does, and return it with outputs."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources)
    return client.execute()


def _outputs(notebook: Any) -> list[Any]:
    return [o for cell in notebook.cells for o in cell.get("outputs", [])]


def _text(notebook: Any) -> str:
    return "".join(o["text"] for o in _outputs(notebook) if o["output_type"] == "stream")


@each_notebook
def test_a_notebook_runs_to_its_end_and_shows_pictures(traded: Home, path: Path) -> None:
    before = _files(traded.workshop.home)
    outputs = _outputs(_execute(path))
    assert not [o for o in outputs if o["output_type"] == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2
    assert _files(traded.workshop.home) == before, "a notebook must only read"


def test_the_session_is_decided_again_to_the_bit(traded: Home) -> None:
    assert traded.windows is not None
    text = _text(_execute(FOLDER / "03_one_session_of_the_colony.ipynb"))
    assert "the same decision, to the bit" in text
    assert "no trade if" in text


@each_notebook
def test_without_a_run_a_notebook_says_so_in_one_line(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "apiary.yaml"
    config.write_text(f"home: {tmp_path / 'home'}\nsources: [{{kind: default}}]\n")
    monkeypatch.setenv("APIARY_CONFIG", str(config))
    with pytest.raises(CellExecutionError) as stopped:
        _execute(path)
    assert stopped.value.ename == "SystemExit"
    assert "must hold a run to look at, holds none" in stopped.value.evalue
    assert "\n" not in stopped.value.evalue


@each_notebook
def test_a_notebook_is_kept_small_and_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size <= SIZE_MAX_BYTES
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_there_is_a_notebook_for_each_question() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]


def _files(home: Path) -> dict[str, bytes]:
    """Return what the home holds; SQLite's shared-memory files come and go with readers."""
    kept = (p for p in home.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal")))
    return {str(p.relative_to(home)): p.read_bytes() for p in kept if ".locks" not in p.parts}
