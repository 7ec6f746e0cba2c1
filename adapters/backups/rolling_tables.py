"""Tables of the cold tier and models as of a moment: what a later backup has more, up to it."""

import json
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from adapters.backups.repository import BackupCorruptionError, BackupRepository, Manifest
from adapters.backups.server_copies import COPIES

_COMMIT = re.compile(r"cold/([^/]+)/_delta_log/(\d{20})\.json")
_SUMS = re.compile(r"cold/([^/]+)/_sums/(\d{20})-[^/]*\.json")
_BLOCKS = "_blocks"


def roll_tables(
    home: Path, repository: BackupRepository, later: Manifest, moment: datetime
) -> None:
    """Bring each table of a restored home to its version as of a moment before `later`.

    A commit tells when it was made; the first that was made after the moment ends its table, and
    what no commit names does not come.
    """
    held = {file.path.removeprefix(f"{COPIES}/"): file.path for file in later.files}
    commits: dict[str, list[int]] = {}
    for match in filter(None, map(_COMMIT.fullmatch, held)):
        commits.setdefault(match[1], []).append(int(match[2]))
    ends: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix=".rolling-", dir=home) as folder:
        for table, versions in commits.items():
            for version in sorted(versions):
                place = f"cold/{table}/_delta_log/{version:020d}.json"
                if not (home / place).exists():
                    commit = Path(folder) / "commit.json"
                    repository.extract(later, held[place], commit)
                    if _made_at(commit, place) > moment:
                        break
                    for name in _added(commit):
                        _bring(home, repository, later, held, f"cold/{table}/{name}")
                        note = f"cold/{table}/{_BLOCKS}/{name}.json"
                        _bring(home, repository, later, held, note)
                    _bring(home, repository, later, held, place)
                ends[table] = version
    for match in filter(None, map(_SUMS.fullmatch, held)):
        if int(match[2]) <= ends.get(match[1], -1):
            _bring(home, repository, later, held, match[0])


def added_after(
    home: Path, repository: BackupRepository, later: Manifest, table: str
) -> Iterator[str]:
    """Yield the names in `later` of a table's data files that no version in the home names."""
    with tempfile.TemporaryDirectory(prefix=".rolling-", dir=home) as folder:
        for file in later.files:
            path = file.path.removeprefix(f"{COPIES}/")
            match = _COMMIT.fullmatch(path)
            if match and match[1] == table and not (home / path).exists():
                commit = Path(folder) / "commit.json"
                repository.extract(later, file.path, commit)
                prefix = file.path.removesuffix(path)
                yield from (f"{prefix}cold/{table}/{name}" for name in _added(commit))


def roll_models(
    home: Path, repository: BackupRepository, later: Manifest, moment: datetime
) -> None:
    """Add what was written of models up to a moment before `later`: versions, and their stages."""
    until = moment.timestamp() * 1e9
    for file in later.files:
        if not file.path.startswith("models/"):
            continue
        if file.path.endswith("/stages.jsonl"):
            with tempfile.TemporaryDirectory(prefix=".rolling-", dir=home) as folder:
                repository.extract(later, file.path, Path(folder) / "stages.jsonl")
                _add_stages(home / file.path, Path(folder) / "stages.jsonl", moment)
        elif file.stamp <= until:
            _bring(home, repository, later, {file.path: file.path}, file.path)


def _add_stages(path: Path, ahead: Path, moment: datetime) -> None:
    """Add the lines that tell of changes up to the moment; one without a time ends them."""
    held = path.read_bytes() if path.exists() else b""
    following = ahead.read_bytes()
    if not following.startswith(held):
        raise BackupCorruptionError(f"{path.name} of {path.parent.name} must go on, does not")
    for line in following[len(held) :].splitlines(keepends=True):
        times = [record["at"] for record in json.loads(line)["records"]]
        if any(at is None or datetime.fromisoformat(at) > moment for at in times):
            break
        held += line
    if held:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)


def _bring(
    home: Path, repository: BackupRepository, later: Manifest, held: dict[str, str], place: str
) -> None:
    """Extract one file where it is not there; what a vacuum has taken since is in no backup."""
    if place in held and not (home / place).exists():
        repository.extract(later, held[place], home / place)


def _made_at(commit: Path, place: str) -> datetime:
    for action in _actions(commit):
        told = action.get("commitInfo")
        if isinstance(told, dict) and "timestamp" in told:
            return datetime.fromtimestamp(int(told["timestamp"]) / 1_000, UTC)
    raise ValueError(f"{place} must tell when it was made, does not")


def _added(commit: Path) -> Iterator[str]:
    for action in _actions(commit):
        told = action.get("add")
        if isinstance(told, dict):
            yield unquote(str(told["path"]))


def _actions(commit: Path) -> Iterator[dict[str, object]]:
    return (json.loads(line) for line in commit.read_bytes().splitlines() if line.strip())
