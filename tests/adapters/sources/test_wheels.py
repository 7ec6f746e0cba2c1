"""Pinned wheels: what differs by a byte is refused, what cannot be had is said in one line."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from adapters.sources import wheels
from adapters.sources.default_data import MANIFEST_PATH, DefaultDataSource
from adapters.sources.wheels import ContentChangedError, PinnedFile, Wheel


def make_wheel(folder: Path, content: bytes = b"a,b\n1,2\n") -> tuple[Wheel, PinnedFile]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo/data.csv", content)
    wheel = Wheel(path.name, "demo", "1.0", path.stat().st_size, wheels.sha256_of(path))
    digest = hashlib.sha256(content).hexdigest()
    file = PinnedFile("demo", path.name, "demo/data.csv", len(content), digest, "MIT", ("bars",))
    return wheel, file


def test_a_verified_wheel_is_read_without_import(tmp_path):
    wheel, file = make_wheel(tmp_path)
    assert wheels.read_member(file, wheels.verify(wheel, tmp_path)) == b"a,b\n1,2\n"
    assert "demo" not in sys.modules


def test_a_wheel_with_one_changed_byte_is_refused(tmp_path):
    wheel, _ = make_wheel(tmp_path)
    path = tmp_path / wheel.name
    changed = bytearray(path.read_bytes())
    changed[10] ^= 1
    path.write_bytes(bytes(changed))
    with pytest.raises(
        ContentChangedError, match=r"must have the pinned sha256 .*, was .*delete it"
    ):
        wheels.verify(wheel, tmp_path)


@pytest.mark.parametrize("content", [b"a,b\n1,3\n", b"a,b\n1,2\n1,2\n"])
def test_a_changed_inner_file_is_refused(tmp_path, content):
    _, file = make_wheel(tmp_path / "good")
    other, _ = make_wheel(tmp_path / "bad", content)
    with pytest.raises(ContentChangedError, match=r"demo/data\.csv in .* must have"):
        wheels.read_member(file, tmp_path / "bad" / other.name)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zip"])
def test_packed_files_are_unpacked(tmp_path, suffix):
    import bz2
    import gzip
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inner.csv", b"x")
    packed = {".gz": gzip.compress(b"x"), ".bz2": bz2.compress(b"x"), ".zip": buffer.getvalue()}
    path = tmp_path / "demo.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d" + suffix, packed[suffix])
    digest = hashlib.sha256(packed[suffix]).hexdigest()
    file = PinnedFile("d", path.name, "d" + suffix, len(packed[suffix]), digest, "MIT", ("bars",))
    assert wheels.read_member(file, path) == b"x"


def fake_pip(monkeypatch: pytest.MonkeyPatch, answers: list[str], source: Path) -> list[Wheel]:
    """Replace the one call of pip: "" puts the wheel in place, anything else is the failure."""
    asked: list[Wheel] = []

    def run(wanted: list[Wheel], target: str) -> str:
        asked.extend(wanted)
        failure = answers.pop(0)
        for wheel in [] if failure else wanted:
            (Path(target) / wheel.name).write_bytes((source / wheel.name).read_bytes())
        return failure

    monkeypatch.setattr(wheels, "_run_pip", run)
    return asked


def test_a_failed_download_is_tried_once_more_and_progress_is_told(tmp_path, monkeypatch):
    wheel, _ = make_wheel(tmp_path / "index")
    asked = fake_pip(monkeypatch, ["connection reset", ""], tmp_path / "index")
    told: list[str] = []
    wheels.download([wheel], tmp_path / "cache", told.append)
    assert len(asked) == 2
    assert told[-1] == "downloaded demo 1.0 (1 of 1)"
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [wheel.name]
    wheels.download([wheel], tmp_path / "cache", told.append)
    assert len(asked) == 2


def test_an_unreachable_index_is_one_line(tmp_path, monkeypatch):
    wheel, _ = make_wheel(tmp_path / "index")
    fake_pip(monkeypatch, ["no route", "no route"], tmp_path / "index")
    with pytest.raises(OSError, match=r"must be obtainable .* was not after 2 attempts: no route"):
        wheels.download([wheel], tmp_path / "cache", lambda _: None)


def test_other_content_under_the_pinned_name_never_enters_the_cache(tmp_path, monkeypatch):
    wheel, _ = make_wheel(tmp_path / "good")
    make_wheel(tmp_path / "index", b"a,b\n6,6\n")
    fake_pip(monkeypatch, ["", ""], tmp_path / "index")
    with pytest.raises(ContentChangedError):
        wheels.download([wheel], tmp_path / "cache", lambda _: None)
    assert list((tmp_path / "cache").iterdir()) == []


def test_messages_of_the_package_client_lose_their_addresses():
    output = "WARNING: x\nERROR: Could not fetch https://user:token@index/simple/demo\n"
    assert wheels._last_error(output) == "ERROR: Could not fetch <address>"


def test_the_manifest_names_every_wheel_and_licence():
    manifest = wheels.read_manifest(MANIFEST_PATH)
    assert len(manifest.wheels) == 10
    assert len(manifest.files) == 15
    for file in manifest.files.values():
        assert file.wheel in manifest.wheels
        assert len(file.sha256) == 64
        assert file.licence


def test_a_source_without_cache_answers_what_needs_none(tmp_path):
    source = DefaultDataSource(tmp_path)
    assert source.instruments().height > 70
    assert source.tables == ("bars", "corporate_actions", "macro", "news", "trades")
    assert source.cache_files == ()
    with pytest.raises(ValueError, match="table must be one of"):
        source.fetch("options", *([None] * 2))  # type: ignore[list-item]  # refused before use
