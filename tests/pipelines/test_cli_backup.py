"""The drill: a home that trades is backed up, lost and restored, and goes on as if nothing was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.stores.content_hash import content_hash
from pipelines import resources
from pipelines.cli import app
from swarm_core.book import book_from_events
from swarm_core.replay import book_digest
from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import market_rows, write_market

pytestmark = pytest.mark.xdist_group("backup")
TABLES = ("raw_bars", "clean_bars", "features", "forecasts")
ROWS = ("decisions", "orders", "fills", "nav", "trails")


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after one run of the whole chain."""
    path = tmp_path_factory.mktemp("backed_up")
    mapping = write_market(path / "data", market_rows())
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch) as home,
    ):
        home.chain.whole(home.windows)
        yield home


def _hashes(home: Path) -> dict[str, str]:
    """Return the hash of everything that money depends on in a home."""
    built: Any = resources.workshop()
    assert built.home == home
    log, tables, rows = (built.get(name) for name in ("log", "tables", "rows"))
    assert log.verify().sound
    found = {name: content_hash(tables.read(name)) for name in TABLES}
    found |= {f"{name} rows": content_hash(rows.query(name)) for name in ROWS}
    found["book"] = book_digest(book_from_events(log.read(), "USD", 1_000_000))
    found["log"] = log.hash_at(log.last_sequence())
    return found


def _apiary(*arguments: str) -> Any:
    told = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return told.exit_code, told.output


def test_a_lost_home_comes_back_with_every_hash_equal(
    traded: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backed up, moved away, restored in its place; deciding again changes nothing."""
    home, backups = traded.workshop.home, tmp_path / "backups"
    before = _hashes(home)
    code, said = _apiary("backup", str(backups))
    assert code == 0, said
    assert "MB new" in said
    code, said = _apiary("backup", str(backups))
    assert "0.0 MB new" in said or "0.1 MB new" in said
    for store in ("log", "hot"):
        built: Any = traded.workshop.get(store)
        built.close()
    home.rename(home.with_name("lost"))
    code, said = _apiary("restore", str(backups), "--to", str(home))
    assert code == 0, said
    assert "every hash equal" in said
    assert "events is sound" in said
    monkeypatch.setattr(resources, "_workshops", {})
    assert _hashes(home) == before
    events = [r.event for r in resources.workshop().event_log().read()]
    with open_again(traded) as chain:
        chain.trade(traded.windows)
    assert [r.event for r in resources.workshop().event_log().read()] == events
    assert _hashes(home) == before


def open_again(traded: Home) -> Any:
    """Return the chain of the restored home."""
    from contextlib import nullcontext

    from pipelines.chain import Chain
    from pipelines.definitions import build_definitions

    built = resources.workshop()
    defs = build_definitions(built.settings.calendar)
    return nullcontext(Chain(defs, traded.instance, built, lambda _: None, lambda *_: None))


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    code, said = _apiary("restore", str(tmp_path / "none"), "--to", str(tmp_path / "home"))
    assert (code, said.count("\n")) == (1, 1)
    assert "must hold a backup, holds none" in said
    code, said = _apiary("backup", str(tmp_path / "none"), "--list")
    assert code == 1
