"""`apiary backup` and `apiary restore`: a home at a moment, kept elsewhere and brought back."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pipelines.settings import ROOT
from pipelines.terminal import ConfigOption, console, one_line_errors, open_workshop

if TYPE_CHECKING:
    from adapters.backups.cold_copies import ColdCopies
    from adapters.backups.repository import BackupRepository
    from adapters.backups.server_copies import Log
    from adapters.stores.cold_places import S3Place
    from adapters.stores.hot_embedded import HotStore
    from adapters.stores.segments import SegmentTier
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
        str | None,
        typer.Option(
            help="The moment, by the machine's clock, in UTC unless it names a zone: what had been "
            "written by then. The newest backup where it is left out."
        ),
    ] = None,
    at_sequence: Annotated[
        int | None, typer.Option(help="The last record of the event log to bring back.", min=1)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Bring a home back as it was at a moment; every hash is compared, and the log verified."""
    with one_line_errors():
        from adapters.backups.repository import BackupRepository
        from pipelines.restoring import chosen, parsed_moment

        repository = BackupRepository(source)
        manifest, finish = chosen(repository, parsed_moment(at), at_sequence, config)
        started = time.perf_counter()
        rolled: list[str] = []
        with console.status("restoring") as status:
            repository.restore(
                manifest, to, status.update, lambda home: rolled.extend(finish(home))
            )
        seconds = time.perf_counter() - started
        console.print(
            f"{manifest.name}: {len(manifest.files)} files, every hash equal, {seconds:.1f} s",
            highlight=False,
        )
        for line in (*rolled, _verified(to), *_left_out(manifest.notes)):
            console.print(line, highlight=False, soft_wrap=True)


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

    cold = _cold_copies(built)
    now = datetime.fromtimestamp(time_ns() / 1e9, UTC)
    started = time.perf_counter()
    with console.status("backing up") as status:
        _copy_servers(built, status.update)
        report = repository.take(
            built.home,
            now,
            quiet=lambda: _resting(built.home),
            tell=status.update,
            remote=cold,
            clock=lambda: datetime.fromtimestamp(time_ns() / 1e9, UTC),
        )
    seconds = time.perf_counter() - started
    console.print(
        f"{report.name}: {report.file_count} files, {report.byte_count / 1e6:.1f} MB, "
        f"{report.new_byte_count / 1e6:.1f} MB new, {seconds:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    for line in (*_left_out({} if cold is None else cold.notes()), *_keys(built)):
        console.print(line, highlight=False, soft_wrap=True)
    if keep is not None:
        gone, freed = repository.forget(keep)
        if gone:
            console.print(f"{gone} older backups are forgotten, {freed / 1e6:.1f} MB freed")


def _copy_servers(built: "Workshop", tell: Callable[[str], None]) -> None:
    """Copy what lies on servers into the home: the log first, then rows in the order they move."""
    from adapters.backups.server_copies import copy_hot, copy_log, copy_warm

    on_server = built.servers()
    if "the event log" in on_server:
        tell("copying the event log")
        copy_log(built.home, cast("Log", built.get("log")))
    if "the hot tier" in on_server:
        tell("copying the hot tier")
        copy_hot(built.home, cast("HotStore", built.get("hot")))
    if "the warm tier" in on_server:
        tell("copying the warm tier")
        copy_warm(built.home, cast("SegmentTier", built.get("warm")))


def _cold_place(built: "Workshop") -> "S3Place | None":
    """Return where the cold tier lies on S3, its files as they are: sealed ones stay sealed."""
    if "the cold tier" not in built.servers():
        return None
    tables: Any = built.get("tables")
    return cast("S3Place", getattr(tables.place, "plain", tables.place))


def _cold_copies(built: "Workshop") -> "ColdCopies | None":
    from adapters.backups.cold_copies import ColdCopies
    from pipelines.resources import time_ns

    place = _cold_place(built)
    return None if place is None else ColdCopies(place, time_ns())


@app.command("load-servers")
def load_servers_command(config: ConfigOption = None) -> None:
    """Bring a restored home's log and tiers to the servers that are configured.

    A log or a table there must be the beginning of the home's; what is there already is not
    written again. Nobody may trade the home meanwhile, nor anybody the servers.
    """
    with one_line_errors():
        from trader.lock import BookLockedError
        from trader.opening import lock_of

        built = open_workshop(config)
        on_server = built.servers()
        if not on_server:
            names = "APIARY_POSTGRES_URL, APIARY_REDIS_URL or APIARY_COLD_URL"
            raise ValueError(f"one of {names} must be set, none is")
        try:
            with lock_of(built.home, "apiary load-servers"):
                _load(built, on_server)
        except BookLockedError as error:
            raise ValueError(
                f"load-servers must have the home to itself, nothing was loaded: {error}"
            ) from error


def _load(built: "Workshop", on_server: Collection[str]) -> None:
    from adapters.backups.server_copies import copy_segments, follow_log
    from adapters.stores.event_log_sqlite import SqliteEventLog
    from adapters.stores.hot_embedded import EmbeddedHotStore
    from adapters.stores.warm import WarmStore

    if "the event log" in on_server and (log := built.home / "warm" / "events.db").is_file():
        source = SqliteEventLog(log)
        count = follow_log(source, cast("Log", built.get("log")))
        console.print(f"{count} events were added to the log", highlight=False)
        warm = WarmStore(built.home / "warm" / "tables")
        count = copy_segments(warm, cast("SegmentTier", built.get("warm")), only_add=True)
        console.print(f"{count} segments were added to the warm tier", highlight=False)
    if "the hot tier" in on_server:
        hot, target = EmbeddedHotStore(built.home / "hot" / "hot.db"), built.get("hot")
        for space in hot.spaces():
            cast("HotStore", target).put(space, hot.read(space))
        console.print(f"{len(hot.spaces())} spaces are in the hot tier", highlight=False)
    if (place := _cold_place(built)) is not None:
        from adapters.backups.cold_copies import load_cold

        there, written = load_cold(built.home / "cold", place)
        line = f"{written} files were added to the cold tier, {there} were there whole"
        console.print(line, highlight=False)


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


def _keys(built: "Workshop") -> list[str]:
    """Return a line where a backup of sealed tables holds the keys to them."""
    given = built.settings.encryption
    path = ROOT / given.keys
    if not given.owner or given.keys == "vault" or not path.is_relative_to(built.home):
        return []
    return [f"the keys of the sealed tables lie within: {path}; keep them apart from the backups"]


def _left_out(notes: Mapping[str, object]) -> list[str]:
    """Return what a backup does not hold, a line each."""
    lines = list[str]()
    servers, files = notes.get("servers"), notes.get("cold_left_out")
    if isinstance(servers, list) and servers:  # a backup from before the cold tier was copied
        lines.append(
            "not within: the cold tier lies on a server (its tables' versions are noted); bring "
            "its bucket back from its own versions or a copy of it"
        )
    if isinstance(files, list) and files:
        tables = ", ".join(sorted({str(name).partition("/")[0] for name in files}))
        lines.append(
            f"not within: {len(files)} files of {tables} lie in an archive class; `apiary tiers "
            "thaw` brings them back to be copied"
        )
    return lines
