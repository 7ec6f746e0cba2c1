"""Model versions in a folder: immutable bytes, and an append-only log of who holds which stage."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import cast

from adapters.file_lock import Locked
from adapters.stores.stage_log import append_records, read_records, sync_folder

STAGES = ("challenger", "champion", "archived")
VERSION_LENGTH = 16  # hex digits of the artifact's sha256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class CorruptModelError(ValueError):
    """What is stored is not what was registered."""


class FileModelRegistry:
    """Registered models under `root/<name>/`; safe for many processes on one machine.

    `versions/<version>/` holds `artifact` and `card.json`, written once and never changed;
    `stages.jsonl` holds every change of stage, hash-chained. A version is the head of its
    artifact's sha256, so registering the same model twice is registering it once. `clock` and
    `actor` tell the log when and who; without a clock the time is left null.
    """

    def __init__(
        self,
        root: Path,
        *,
        clock: Callable[[], datetime] | None = None,
        actor: str = "apiary",
    ) -> None:
        self._root = Path(root)
        self._clock = clock
        self._actor = actor

    def register(self, name: str, artifact: bytes, card: Mapping[str, object]) -> str:
        """Store the artifact as a challenger and return its version.

        The same artifact again gives the same version and keeps its first card and stage.
        Raises ValueError on an empty artifact or a card that is not JSON.
        """
        if not artifact:
            raise ValueError("an artifact must have content, was empty")
        text = _card_text(card)
        version = hashlib.sha256(artifact).hexdigest()[:VERSION_LENGTH]
        with self._locked(name) as home:
            folder = home / "versions" / version
            if not folder.exists():
                _write_version(folder, artifact, text)
            if version not in _stages(home):
                self._log(home, [(version, "challenger", "registered")])
        return version

    def load(self, name: str, version: str) -> bytes:
        """Return the artifact. Raises KeyError if unknown, CorruptModelError if it was changed."""
        folder = self._version(name, version)
        data = _read(folder / "artifact")
        expected = _read_card_file(folder)["artifact_sha256"]
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise CorruptModelError(
                f"{name} {version} must have sha256 {expected}, the file has {found}"
            )
        return data

    def card(self, name: str, version: str) -> Mapping[str, object]:
        """Return the card as registered; raises as `load` does."""
        return cast("dict[str, object]", _read_card_file(self._version(name, version))["card"])

    def find_stage(self, name: str, stage: str) -> str | None:
        """Return the version that holds the stage (the newest to enter it), or None."""
        _check_stage(stage)
        home = self._home(name)
        if not home.exists():
            return None
        holders = [v for v, s in _stages(home).items() if s == stage]
        return holders[-1] if holders else None

    def set_stage(self, name: str, version: str, stage: str, reason: str) -> None:
        """Move a version to a stage; a new champion archives the old one in the same write.

        Raises ValueError without a reason or with an unknown stage, KeyError on an unknown
        version. A champion's artifact is read and verified first.
        """
        _check_stage(stage)
        if not reason.strip():
            raise ValueError("a change of stage must have a reason, had none")
        self.load(name, version)
        with self._locked(name) as home:
            stages = _stages(home)
            if stages.get(version) == stage:
                return
            changes = [(version, stage, reason)]
            if stage == "champion":
                old = [v for v, s in stages.items() if s == "champion"]
                changes = [(v, "archived", f"replaced by {version}: {reason}") for v in old]
                changes.append((version, stage, reason))
            self._log(home, changes)

    def versions(self, name: str) -> Sequence[Mapping[str, object]]:
        """Return name, version, stage and card of each version, in the order of registration."""
        home = self._home(name)
        if not home.exists():
            return []
        records = read_records(home / "stages.jsonl")
        order = list(dict.fromkeys(str(r["version"]) for r in records))
        stages = _stages(home)
        return [
            {"name": name, "version": v, "stage": stages[v], "card": self.card(name, v)}
            for v in order
        ]

    def history(self, name: str) -> Sequence[Mapping[str, object]]:
        """Return every change of stage, oldest first: version, stage, reason, by, at."""
        home = self._home(name)
        return read_records(home / "stages.jsonl") if home.exists() else []

    def _log(self, home: Path, changes: Sequence[tuple[str, str, str]]) -> None:
        at = self._clock().isoformat() if self._clock is not None else None
        append_records(
            home / "stages.jsonl",
            [
                {"version": v, "stage": s, "reason": r, "by": self._actor, "at": at}
                for v, s, r in changes
            ],
        )

    def _home(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"a model name must be letters, digits, '_', '-', '.', was {name!r}")
        return self._root / name

    def _version(self, name: str, version: str) -> Path:
        folder = self._home(name) / "versions" / version
        if not re.fullmatch(r"[0-9a-f]{16}", version) or not folder.is_dir():
            raise KeyError(f"model {name!r} has no version {version!r}")
        return folder

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        home = self._home(name)
        (home / "versions").mkdir(parents=True, exist_ok=True)
        with Locked(home / ".lock"):
            yield home


def _stages(home: Path) -> dict[str, str]:
    """Return each version's stage, in the order in which they entered it."""
    stages: dict[str, str] = {}
    for record in read_records(home / "stages.jsonl"):
        version = str(record["version"])
        stages.pop(version, None)
        stages[version] = str(record["stage"])
    return stages


def _check_stage(stage: str) -> None:
    if stage not in STAGES:
        raise ValueError(f"stage must be one of {STAGES}, was {stage!r}")


def _card_text(card: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(card), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a model card must be plain JSON values: {error}") from error


def _write_version(folder: Path, artifact: bytes, card_text: str) -> None:
    """Write beside, then rename the whole folder: a reader sees all of it or nothing."""
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}")
    scratch.mkdir(exist_ok=True)
    _write_durable(scratch / "artifact", artifact)
    stored = {
        "artifact_sha256": hashlib.sha256(artifact).hexdigest(),
        "card_sha256": hashlib.sha256(card_text.encode()).hexdigest(),
        "card": json.loads(card_text),
    }
    _write_durable(scratch / "card.json", json.dumps(stored, sort_keys=True, indent=1).encode())
    sync_folder(scratch)
    scratch.rename(folder)
    sync_folder(folder.parent)


def _write_durable(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CorruptModelError(f"{path} must exist, was removed") from error


def _read_card_file(folder: Path) -> dict[str, object]:
    try:
        stored = json.loads(_read(folder / "card.json"))
        text = _card_text(stored["card"])
        found, expected = hashlib.sha256(text.encode()).hexdigest(), stored["card_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptModelError(f"the card in {folder} must be readable: {error!r}") from error
    if found != expected:
        raise CorruptModelError(f"the card in {folder} must have sha256 {expected}, has {found}")
    return stored
