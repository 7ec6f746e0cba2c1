"""Keys on the command line: encryption switched on over a home, sealed, rotated, refused."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from adapters.stores.envelope import is_sealed
from pipelines import resources
from pipelines.cli import app
from pipelines.settings import DEFAULT_CONFIG, ROOT
from tests.adapters.stores.test_tables_delta import KEY, make_rows


def _configure(tmp_path: Path, patch: pytest.MonkeyPatch, **encryption: Any) -> Any:
    path = tmp_path / "apiary.yaml"
    plain = yaml.safe_load(DEFAULT_CONFIG.read_text())
    given = {**plain, "home": str(tmp_path / "home"), "encryption": encryption}
    path.write_text(yaml.safe_dump(given))
    patch.setenv("APIARY_CONFIG", str(path))
    patch.setattr(resources, "_workshops", {})
    return resources.workshop().get("tables")


def _keys(*arguments: str) -> str:
    return CliRunner().invoke(app, ["keys", *arguments]).output


def test_a_home_is_sealed_and_its_key_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(*map(float, range(40)))
    _configure(tmp_path, monkeypatch).append("bars", rows, key=KEY)
    assert "encryption.owner must be set" in _keys("seal")
    keys = os.path.relpath(tmp_path / "keys.json", ROOT)
    _configure(tmp_path, monkeypatch, owner="desk-a", keys=keys)
    assert "2 months were sealed" in _keys("seal")
    assert "0 months were sealed" in _keys("seal")
    store = _configure(tmp_path, monkeypatch, owner="desk-a", keys=keys, only_sealed=True)
    assert store.read("bars").equals(rows)
    told = _keys("rotate")
    assert "the key of desk-a is new" in told
    assert "2 files were wrapped anew" in told
    assert store.read("bars").equals(rows)
    parts = [p.read_bytes() for p in (tmp_path / "home" / "cold").rglob("*.parquet")]
    assert sum(map(is_sealed, parts)) == 2


def test_a_vault_that_is_not_named_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APIARY_VAULT_URL", raising=False)
    with pytest.raises(ValueError, match="APIARY_VAULT_URL and APIARY_VAULT_TOKEN must be set"):
        _configure(tmp_path, monkeypatch, owner="desk-a", keys="vault")


def test_keys_that_are_gone_are_asked_for_and_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = os.path.relpath(tmp_path / "keys.json", ROOT)
    _configure(tmp_path, monkeypatch, owner="desk-a", keys=keys).append(
        "bars", make_rows(1.0, 2.0), key=KEY
    )
    (tmp_path / "keys.json").rename(tmp_path / "elsewhere.json")

    with pytest.raises(ValueError, match="bring the keys back"):
        _configure(tmp_path, monkeypatch, owner="desk-a", keys=keys)
    assert "bring the keys back" in " ".join(_keys("rotate").split())
    assert not (tmp_path / "keys.json").exists()
