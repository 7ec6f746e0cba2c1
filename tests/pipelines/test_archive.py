"""The archive of a desk by its settings: the asset takes old months, the command gives back."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.tiers import ARCHIVE_WHOLE, cold_archive
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import choose_config, settings_for_files
from tests.adapters.stores.test_tiers import make_fills


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A desk with a hundred cold fills of 2024, whose older months lie in another folder."""
    monkeypatch.setenv("APIARY_CONFIG", "")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr(resources, "_workshops", {})
    path = settings_for_files(tmp_path, None, tmp_path / "home", base=None)
    archive = f"archive: {{after_days: 31, folder: {tmp_path / 'medium'}}}\n"
    (tmp_path / "home" / "tiers.yaml").write_text(archive)
    choose_config(path)
    tables: Any = resources.workshop().get("tables")
    tables.add("fills", make_fills(0, 100))
    return path


def materialized() -> dg.ExecuteInProcessResult:
    built = resources.workshop()
    given = {name: built.get(name) for name in ("archive", "clock")}
    return dg.materialize([cold_archive], resources=given, raise_on_error=False)


def apiary(config: Path, *words: str) -> str:
    told = CliRunner().invoke(app, [*words, "--config", str(config)])
    return " ".join(told.output.split())


def test_the_asset_takes_old_months_and_the_command_gives_one_back(
    config: Path, tmp_path: Path
) -> None:
    result = materialized()

    (done,) = result.asset_materializations_for_node("cold_archive")
    assert done.metadata["taken_files"].value == 4
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (ARCHIVE_WHOLE, True)
    count = ("sql", "select count(*) from fills", "--csv")
    assert apiary(config, *count).endswith("100")
    said = apiary(config, "tiers", "thaw", "fills", "--start", "2024-01-01", "--end", "2024-02-01")
    assert said == "1 files of fills were brought back"
    assert len(list((tmp_path / "medium").rglob("*.parquet"))) == 3

    victim = next((tmp_path / "medium").rglob("*.parquet"))
    victim.unlink()
    (check,) = materialized().get_asset_check_evaluations()
    assert not check.passed
    assert "lies in the archive" in apiary(config, *count)


def test_without_an_archive_nothing_is_taken_and_nothing_can_be_given_back(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "home" / "tiers.yaml").unlink()
    resources._workshops.clear()

    (done,) = materialized().asset_materializations_for_node("cold_archive")

    assert done.metadata["taken_files"].value == 0
    said = apiary(config, "tiers", "thaw", "fills", "--start", "2024-01-01", "--end", "2024-02-01")
    assert "archive.storage_class or archive.folder must be set, is not" in said
