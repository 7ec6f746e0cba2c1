"""What a restore begins with, and what it does in the restored home before that appears."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.backups.repository import BackupRepository, Manifest
from adapters.backups.rolling import LOG, Rolled, log_ends, roll_to_moment, roll_to_record
from adapters.backups.rolling_rows import RowsRolled
from adapters.backups.server_copies import settle_copies
from adapters.stores.envelope import Sealer
from pipelines.settings import ROOT, ApiarySettings, SettingsError, read_settings

Finish = Callable[[Path], list[str]]


def parsed_moment(at: str | None, option: str = "--at") -> datetime | None:
    """Return the moment that an option names, in UTC unless it names a zone.

    Raises ValueError on any other text.
    """
    if at is None:
        return None
    try:
        found = datetime.fromisoformat(at)
    except ValueError as error:
        raise ValueError(f"{option} must be a moment as 2026-01-02T12:00:30.5, was {at}") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def chosen(
    repository: BackupRepository,
    moment: datetime | None,
    sequence: int | None,
    config: Path | None,
) -> tuple[Manifest, Finish]:
    """Return the backup to begin with, and what to do in the restored home: it says what it did.

    The configuration says where the keys of sealed tables are. Raises ValueError where no backup
    reaches so far.
    """
    if moment is not None and sequence is not None:
        raise ValueError("one of --at and --at-sequence must be given, both are")
    if sequence is not None:
        return _at_record(repository, sequence, config)
    base = repository.find_at(moment)
    asked = "" if moment is None else f" finished by {moment.isoformat()}"
    if base is None:
        raise ValueError(f"{repository.root} must hold a backup{asked}, holds none")
    if moment is None or moment == base.moment:
        return base, _settled
    later = repository.find_after(base, moment)
    if later is None:
        return base, _rolled(base, "", None)
    wanted = f"written up to {moment.isoformat()}"
    if later.begun <= moment:
        wanted = f"written up to {later.begun.isoformat()}, when the newest backup began,"

    def to_moment(home: Path) -> Rolled:
        sealer = _sealer(home, repository, later, config)
        return roll_to_moment(home, repository, base, later, moment, sealer)

    return base, _rolled(base, wanted, to_moment)


def _at_record(
    repository: BackupRepository, sequence: int, config: Path | None
) -> tuple[Manifest, Finish]:
    root = repository.root
    base, last = next(((m, n) for m, n in log_ends(repository, root) if n <= sequence), (None, 0))
    if base is None:
        raise ValueError(f"{root} must hold a backup from before record {sequence}, holds none")
    if last == sequence:
        return base, _settled
    later = repository.find_after(base)
    if later is None:
        raise ValueError(f"{root} must hold record {sequence} of the log, ends with {last}")

    def to_record(home: Path) -> Rolled:
        sealer = _sealer(home, repository, later, config)
        return roll_to_record(home, repository, base, later, sequence, sealer)

    return base, _rolled(base, f"up to record {sequence}", to_record)


def _settled(home: Path) -> list[str]:
    """Put copies of servers in their place; say which."""
    return [
        f"{name} lay on a server and lies in the home now: `apiary load-servers` brings it back"
        for name in settle_copies(home)
    ]


def _rolled(base: Manifest, wanted: str, roll: Callable[[Path], Rolled] | None) -> Finish:
    """Return what follows the log of a later backup, and says how far that was."""

    def finish(home: Path) -> list[str]:
        lines = _settled(home)
        as_of = f"the home is as of {base.taken_at}"
        if roll is None:
            return [*lines, f"{as_of}: no later backup is there"]
        if not (home / LOG).is_file():
            return lines
        done = roll(home)
        if done.reason:
            return [*lines, f"{as_of}: {done.reason}"]
        lines.append(f"{done.event_count} events {wanted} were added to the log")
        return [*lines, *_told(done.rows, base)]

    return finish


def _told(rows: RowsRolled | str, base: Manifest) -> list[str]:
    """Return what is to be said of the rows above the cold tier."""
    if isinstance(rows, str):
        return [
            f"rows of fills, orders and decisions are as of {base.taken_at}, the log has newer "
            f"ones: {rows}. Mend that (the keys are those of --config) and restore again"
        ]
    added = ", ".join(f"{n} of {table}" for table, n in sorted(rows.added.items()) if n)
    lines = [f"rows that the log tells of were added: {added}"] if added else []
    if sessions := rows.without_rows:
        lines.append(
            f"no backup has the decisions and NAV of {len(sessions)} sessions, {sessions[0]} to "
            f"{sessions[-1]}: the next run of these sessions (`apiary run`) writes them"
        )
    return lines


def _sealer(
    home: Path, repository: BackupRepository, later: Manifest, config: Path | None
) -> Sealer | None:
    """Return what opens the sealed tables of a restored home, None where encryption is off.

    Keys that lie in the home come with it, and those that `later` has more: its files are under
    them.
    """
    settings = _find_settings(home, config)
    encryption = settings and settings.encryption
    if settings is None or encryption is None or not encryption.owner:
        return None
    if encryption.keys == "vault":
        from adapters.secrets.vault import Vault, VaultAccess
        from pipelines.settings import Environment

        return Sealer(encryption.owner, Vault(VaultAccess(**Environment().vault_access())))
    from adapters.secrets.key_file import KeyFile

    path = ROOT / encryption.keys
    if path.is_relative_to(settings.home):
        name = path.relative_to(settings.home).as_posix()
        if any(file.path == name for file in later.files):
            _bring_keys(home, repository, later, name)
        path = home / name
    return Sealer(encryption.owner, KeyFile(path))


def _find_settings(home: Path, config: Path | None) -> ApiarySettings | None:
    """Return the desk's settings; those in the home where the others were lost with it."""
    try:
        return read_settings(config)
    except SettingsError:
        inside = home / "apiary.yaml"
        return read_settings(inside) if inside.is_file() else None


def _bring_keys(home: Path, repository: BackupRepository, later: Manifest, name: str) -> None:
    part = home / f".{Path(name).name}.part"
    repository.extract(later, name, part)
    newer: Any = json.loads(part.read_bytes())
    older: Any = json.loads((home / name).read_bytes()) if (home / name).exists() else {}
    if all(newer.get(owner, [])[: len(keys)] == keys for owner, keys in older.items()):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        part.replace(home / name)
    else:  # a key was destroyed since: what it sealed comes back as it was
        part.unlink()
