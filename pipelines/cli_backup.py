"""`apiary backup` and `apiary restore`: a home at a moment, kept elsewhere and brought back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.backups.repository import BackupRepository, Manifest
    from pipelines.resources import Workshop

app = typer.Typer()
LOCK_WAIT_S = 10.0


@app.command("backup")
def backup_command(
    target: Annotated[Path, typer.Argument(help="The folder that holds the backups.")],
    every: Annotated[
        float | None, typer.Option(help="Take one every so many seconds until interrupted.", min=1)
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="Forget all but the newest so many backups.", min=1)
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Only list what is there.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Only read the newest one whole.")] = (
        False
    ),
    config: ConfigOption = None,
) -> None:
    """Back up the home: log, state, tables and models; only what is new is written."""
    with one_line_errors():
        from adapters.backups.repository import BackupRepository

        repository = BackupRepository(target)
        if show or verify:
            _look(repository, verify=verify)
            return
        built = open_workshop(config)
        try:
            while True:
                _take(built, repository, keep)
                if every is None:
                    return
                time.sleep(every)
        except KeyboardInterrupt:
            raise typer.Exit from None


@app.command("restore")
def restore_command(
    source: Annotated[Path, typer.Argument(help="The folder that holds the backups.")],
    to: Annotated[Path, typer.Option(help="The home to restore to: empty, or not there.")],
    at: Annotated[
        datetime | None,
        typer.Option(
            help="The moment (UTC): the newest backup before it, and the log up to it; the newest "
            "backup where it is left out."
        ),
    ] = None,
) -> None:
    """Bring a home back as it was at a moment; every hash is compared, and the log verified."""
    with one_line_errors():
        from adapters.backups.repository import BackupRepository

        repository = BackupRepository(source)
        moment = None if at is None else at.replace(tzinfo=at.tzinfo or UTC)
        manifest = repository.find_at(moment)
        if manifest is None:
            asked = "" if at is None else f" at or before {at.isoformat()}"
            raise ValueError(f"{source} must hold a backup{asked}, holds none")
        started = time.perf_counter()
        rolled: list[str] = []
        with console.status("restoring") as status:
            repository.restore(
                manifest,
                to,
                status.update,
                lambda home: rolled.extend(_rolled(home, repository, manifest, moment)),
            )
        seconds = time.perf_counter() - started
        console.print(
            f"{manifest.name}: {len(manifest.files)} files, every hash equal, {seconds:.1f} s",
            highlight=False,
        )
        for line in (*rolled, _verified(to)):
            console.print(line, highlight=False)
        for line in _servers(manifest.notes.get("servers")):
            console.print(line, highlight=False)


def _rolled(
    home: Path, repository: "BackupRepository", base: "Manifest", moment: datetime | None
) -> list[str]:
    """Follow the log of the next backup up to the moment; say how far that was."""
    from adapters.backups.rolling import LOG, roll_forward

    later = None if moment is None else repository.find_after(moment)
    if moment is None or later is None or not (home / LOG).is_file():
        return []
    done = roll_forward(home, repository, base, later, moment)
    if done.reason:
        return [f"the home is as of {base.taken_at}: {done.reason}"]
    return [f"{done.event_count} events up to {moment.isoformat()} were added to the log"]


def _look(repository: "BackupRepository", *, verify: bool) -> None:
    names = repository.names()
    if not names:
        raise ValueError(f"{repository.root} must hold a backup, holds none")
    if verify:
        repository.verify(repository.read(names[-1]))
        console.print(f"{names[-1]} is whole", highlight=False)
        return
    for name in names:
        manifest = repository.read(name)
        size = sum(f.size for f in manifest.files)
        line = f"{manifest.taken_at}  {len(manifest.files):>6} files  {size / 1e6:>10.1f} MB"
        console.print(line, highlight=False)


def _take(built: "Workshop", repository: "BackupRepository", keep: int | None) -> None:
    from pipelines.resources import time_ns

    servers = built.servers()
    now = datetime.fromtimestamp(time_ns() / 1e9, UTC)
    started = time.perf_counter()
    with console.status("backing up") as status:
        report = repository.take(
            built.home,
            now,
            notes={"servers": servers},
            quiet=lambda: _resting(built.home),
            tell=status.update,
        )
    seconds = time.perf_counter() - started
    console.print(
        f"{report.name}: {report.file_count} files, {report.byte_count / 1e6:.1f} MB, "
        f"{report.new_byte_count / 1e6:.1f} MB new, {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    for line in _servers(servers):
        console.print(line, highlight=False)
    if keep is not None:
        gone, freed = repository.forget(keep)
        if gone:
            console.print(f"{gone} older backups are forgotten, {freed / 1e6:.1f} MB freed")


@contextmanager
def _resting(home: Path) -> Iterator[None]:
    """Hold the book for the moment that databases are copied in, where nobody trades it.

    Where somebody does, the copy is sound as well: the log is copied first, as of one transaction,
    and all that it names was written before it.
    """
    from trader.lock import BookLockedError
    from trader.opening import lock_of

    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        lock = lock_of(home, "apiary backup")
        try:
            lock.__enter__()
        except BookLockedError:
            if time.monotonic() >= deadline:
                yield
                return
            time.sleep(0.1)
            continue
        try:
            yield
        finally:
            lock.__exit__(None, None, None)
        return


def _verified(home: Path) -> str:
    """Return what the restored log says of itself; raises ValueError where it is not sound."""
    path = home / "warm" / "events.db"
    if not path.is_file():
        return "there is no event log in this home"
    from adapters.stores.event_log_sqlite import SqliteEventLog

    log = SqliteEventLog(path)
    try:
        found = log.verify()
    finally:
        log.close()
    if not found.sound:
        raise ValueError(f"the restored event log must be sound, is not: {found.detail}")
    return f"the chain of {found.checked_count} events is sound"


def _servers(told: object) -> list[str]:
    names = told if isinstance(told, list) else []
    return [
        f"not within: {name} lies on a server; bring it back with the server's own tools"
        for name in names
    ]
