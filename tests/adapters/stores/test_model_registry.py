"""The file registry: immutable versions, one champion, a log that shows every change."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.stores.model_registry import CorruptModelError, FileModelRegistry
from adapters.stores.stage_log import CorruptLogError

CARD = {"name": "m", "metrics": {"rank_ic": 0.03}}


def make_registry(root: Path) -> FileModelRegistry:
    return FileModelRegistry(root, clock=lambda: datetime(2024, 5, 1, tzinfo=UTC), actor="tester")


def test_an_artifact_comes_back_as_it_was_registered(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"trees", CARD)
    assert registry.load("m", version) == b"trees"
    assert registry.card("m", version) == CARD


def test_the_same_artifact_is_the_same_version_and_a_new_one_is_not(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    first = registry.register("m", b"trees", CARD)
    again = registry.register("m", b"trees", {"name": "another card"})
    other = registry.register("m", b"other trees", CARD)
    assert first == again != other
    assert registry.card("m", first) == CARD
    assert [v["version"] for v in registry.versions("m")] == [first, other]


def test_a_new_champion_archives_the_old_one(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    one, two = (registry.register("m", data, CARD) for data in (b"1", b"2"))
    registry.set_stage("m", one, "champion", "first")
    registry.set_stage("m", two, "champion", "better by 0.01")
    assert registry.find_stage("m", "champion") == two
    assert {v["version"]: v["stage"] for v in registry.versions("m")} == {
        one: "archived",
        two: "champion",
    }


def test_the_log_tells_who_when_and_why(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"1", CARD)
    registry.set_stage("m", version, "champion", "first of its name")
    last = registry.history("m")[-1]
    assert last == {
        "version": version,
        "stage": "champion",
        "reason": "first of its name",
        "by": "tester",
        "at": "2024-05-01T00:00:00+00:00",
    }


def test_another_process_sees_the_same_registry(tmp_path: Path) -> None:
    version = make_registry(tmp_path).register("m", b"1", CARD)
    make_registry(tmp_path).set_stage("m", version, "champion", "first")
    assert make_registry(tmp_path).find_stage("m", "champion") == version


def test_nothing_registered_is_no_champion_and_no_versions(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    assert registry.find_stage("m", "champion") is None
    assert list(registry.versions("m")) == []
    with pytest.raises(KeyError, match="no version"):
        registry.load("m", "0" * 16)


def test_a_changed_artifact_is_refused_and_cannot_become_champion(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"trees", CARD)
    (tmp_path / "m" / "versions" / version / "artifact").write_bytes(b"trees!")
    with pytest.raises(CorruptModelError, match="must have sha256"):
        registry.load("m", version)
    with pytest.raises(CorruptModelError):
        registry.set_stage("m", version, "champion", "first")
    assert registry.find_stage("m", "champion") is None


def test_a_changed_card_is_refused(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"trees", CARD)
    path = tmp_path / "m" / "versions" / version / "card.json"
    stored = json.loads(path.read_text())
    stored["card"]["metrics"]["rank_ic"] = 0.3
    path.write_text(json.dumps(stored))
    with pytest.raises(CorruptModelError, match="card"):
        registry.card("m", version)


def test_a_removed_artifact_says_what_is_gone(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"trees", CARD)
    (tmp_path / "m" / "versions" / version / "artifact").unlink()
    with pytest.raises(CorruptModelError, match="was removed"):
        registry.load("m", version)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_changed_line_of_the_log_is_found(tmp_path: Path, number: int) -> None:
    registry = make_registry(tmp_path)
    one, two = (registry.register("m", data, CARD) for data in (b"1", b"2"))
    registry.set_stage("m", one, "champion", "first")
    log = tmp_path / "m" / "stages.jsonl"
    lines = log.read_text().splitlines()
    lines[number] = lines[number].replace(one, "x").replace(two, one)
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(CorruptLogError, match=f"line {number + 1}"):
        registry.find_stage("m", "champion")


def test_a_removed_line_of_the_log_is_found(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    for data in (b"1", b"2", b"3"):
        registry.register("m", data, CARD)
    log = tmp_path / "m" / "stages.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0] + lines[2])
    with pytest.raises(CorruptLogError, match="line 2"):
        registry.versions("m")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_line_torn_by_a_crash_leaves_the_old_champion(tmp_path: Path, kept: float) -> None:
    registry = make_registry(tmp_path)
    one, two = (registry.register("m", data, CARD) for data in (b"1", b"2"))
    registry.set_stage("m", one, "champion", "first")
    log = tmp_path / "m" / "stages.jsonl"
    before = log.read_bytes()
    registry.set_stage("m", two, "champion", "better")
    written = log.read_bytes()[len(before) :]
    log.write_bytes(before + written[: int(kept * (len(written) - 1))])
    assert registry.find_stage("m", "champion") == one
    registry.set_stage("m", two, "champion", "better, again")
    assert registry.find_stage("m", "champion") == two


def test_a_version_half_written_by_a_crash_is_not_there_and_can_be_written(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"trees", CARD)
    folder = tmp_path / "m" / "versions" / version
    folder.rename(folder.with_name(f".{version}.77"))
    with pytest.raises(KeyError):
        registry.load("m", version)
    assert registry.register("m", b"trees", CARD) == version
    assert registry.load("m", version) == b"trees"


@pytest.mark.parametrize("name", ["", "../m", "a/b", ".hidden", "a b"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="a model name must be"):
        make_registry(tmp_path).register(name, b"1", CARD)


def test_bad_requests_say_what_must_hold(tmp_path: Path) -> None:
    registry = make_registry(tmp_path)
    version = registry.register("m", b"1", CARD)
    with pytest.raises(ValueError, match="stage must be one of"):
        registry.set_stage("m", version, "winner", "because")
    with pytest.raises(ValueError, match="must have a reason"):
        registry.set_stage("m", version, "champion", " ")
    with pytest.raises(ValueError, match="must be plain JSON"):
        registry.register("m", b"2", {"x": float("nan")})
    with pytest.raises(ValueError, match="must have content"):
        registry.register("m", b"", CARD)


def test_processes_that_write_at_once_lose_nothing_and_leave_one_champion(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from adapters.stores.model_registry import FileModelRegistry as R;"
        "r = R(Path(sys.argv[1]), actor=sys.argv[2]);"
        "[r.set_stage('m', r.register('m', f'{sys.argv[2]} {k}'.encode(), {}), 'champion', 'race')"
        " for k in range(8)]"
    )
    root = Path(__file__).parents[3]
    racers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name], cwd=root)
        for name in ("one", "two", "three")
    ]
    assert [r.wait(timeout=60) for r in racers] == [0, 0, 0]
    stages = [v["stage"] for v in make_registry(tmp_path).versions("m")]
    assert stages.count("champion") == 1
    assert stages.count("archived") == 23
