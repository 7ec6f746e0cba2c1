"""Where the cold tier's tables lie: a folder of this machine, or S3-compatible storage."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import polars as pl
import pyarrow.fs as arrow_fs
from deltalake.exceptions import DeltaError, TableNotFoundError

from adapters.file_lock import Locked

if TYPE_CHECKING:
    from adapters.stores.s3_objects import S3Objects

_RETRIES = 2
# What S3 calls it, and what Arrow makes of it.
_FROZEN = ("InvalidObjectState", "not valid for the object's storage class")
_MUST_THAW = (
    "what was asked for lies in an archive class and must be restored first: "
    "`apiary tiers thaw TABLE --start DAY --end DAY`"
)
# What S3 keeps in these must be thawed before it can be read; all other classes answer at once.
FROZEN_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


class ColdStoreUnavailableError(OSError):
    """The cold tier's storage did not answer in time or refused; what was committed stands."""


class ColdArchivedError(ColdStoreUnavailableError):
    """What was asked for lies in the archive and cannot be read from there; nothing is lost."""


class ArchiveAwayError(ColdArchivedError, FileNotFoundError):
    """The folder of the archive is not there, or has lost what it was given."""


class ColdPlace(Protocol):
    """A root under which every table is a Delta table of its name."""

    def uri(self, table: str) -> str: ...

    @property
    def shared(self) -> bool:
        """Return whether writers of other machines, who do not queue for our lock, may come."""
        ...

    @property
    def delta_options(self) -> dict[str, str] | None:
        """How delta-rs reaches it; None for a folder."""
        ...

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        """How polars reaches it; None for a folder."""
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that exist, sorted."""
        ...

    def exists(self, table: str) -> bool: ...

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        """Return what tells this commit from any other, and whether it is the newest.

        None and False where to ask is as dear as to look.
        """
        ...

    def prepare(self, table: str) -> None:
        """Make room for a new table."""
        ...

    def read_bytes(self, path: str) -> bytes:
        """Return what lies at `table/...`; FileNotFoundError where nothing does."""
        ...

    def write_bytes(self, path: str, content: bytes) -> None:
        """Put the content at `table/...`, all or nothing."""
        ...

    def file_names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the files in the folder `table/...`, sorted; none where it is not."""
        ...

    def locked(self, table: str) -> Locked:
        """Queue this machine's writers of a table; a holder that dies lets go."""
        ...


class LocalPlace:
    """A folder; commits are made by a rename that fails where the version is there."""

    shared = False
    delta_options: dict[str, str] | None = None
    scan_options: dict[str, str | int] | None = None

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def __str__(self) -> str:
        return str(self.root)

    def uri(self, table: str) -> str:
        return str(self.root / table)

    def tables(self) -> tuple[str, ...]:
        if not self.root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self.root.iterdir() if (p / "_delta_log").is_dir()))

    def exists(self, table: str) -> bool:
        log = self.root / table / "_delta_log"
        try:
            with os.scandir(log) as found:  # delta-rs looks longer than a small read takes
                return any(entry.name.endswith((".json", ".parquet")) for entry in found)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        log = self.root / table / "_delta_log"
        try:
            told = (log / f"{version:020d}.json").stat()
        except FileNotFoundError:
            return None, False
        return (told.st_ino, told.st_mtime_ns), not (log / f"{version + 1:020d}.json").exists()

    def prepare(self, table: str) -> None:
        (self.root / table).mkdir(parents=True, exist_ok=True)

    def read_bytes(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write_bytes(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(content)
        part.replace(target)

    def file_names(self, folder: str) -> tuple[str, ...]:
        at = self.root / folder
        return tuple(sorted(p.name for p in at.iterdir() if p.is_file())) if at.is_dir() else ()

    def locked(self, table: str) -> Locked:
        return Locked(self.root / ".locks" / table)


@dataclass(frozen=True, slots=True)
class S3Access:
    """How to reach S3-compatible storage; secrets are never shown.

    `endpoint` is left out for AWS itself. `ca_file` holds the authorities that a server over TLS
    must prove itself by; delta-rs and polars know those of the variable SSL_CERT_FILE alone.
    """

    endpoint: str | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    timeout_s: float = 10.0
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if self.endpoint is not None and urlsplit(self.endpoint).scheme not in ("http", "https"):
            raise ValueError(f"the S3 endpoint must be http(s)://host, was {self.endpoint!r}")
        if not 0 < self.timeout_s <= 600:
            raise ValueError(f"timeout_s must be in (0, 600], was {self.timeout_s}")

    def options(self) -> dict[str, str]:
        """Return the options that delta-rs and polars share."""
        plain = self.endpoint is not None and self.endpoint.startswith("http:")
        given = {
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": self.region,
            "aws_allow_http": str(plain).lower(),
            "timeout": f"{round(1000 * self.timeout_s)}ms",
            "connect_timeout": f"{round(1000 * min(self.timeout_s, 5.0))}ms",
        }
        return {k: v for k, v in given.items() if v is not None}

    def filesystem(self) -> arrow_fs.S3FileSystem:
        """Return the file system that lists, copies and makes buckets."""
        at = urlsplit(self.endpoint) if self.endpoint else None
        return arrow_fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            endpoint_override=at.netloc if at else None,
            scheme=at.scheme if at else "https",
            connect_timeout=min(self.timeout_s, 5.0),
            request_timeout=self.timeout_s,
            tls_ca_file_path=None if self.ca_file is None else str(self.ca_file),
            retry_strategy=arrow_fs.AwsStandardS3RetryStrategy(max_attempts=_RETRIES),
            allow_bucket_creation=True,
        )


class S3Place:
    """A prefix of a bucket (s3://bucket/prefix); commits are conditional puts.

    Two writers on two machines cannot both put one version of a table: the later is refused and
    tries again. `locks` is a folder of this machine, where its own writers queue.
    """

    shared = True

    def __init__(self, url: str, access: S3Access, *, locks: Path) -> None:
        at = urlsplit(url)
        if at.scheme != "s3" or not at.netloc:
            raise ValueError(f"the cold storage must be s3://bucket/prefix, was {url!r}")
        self._bucket = at.netloc
        self._path = "/".join(p for p in (at.netloc, at.path.strip("/")) if p)
        self._access = access
        self._locks = locks / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._files: arrow_fs.S3FileSystem | None = None

    def __str__(self) -> str:
        return f"s3://{self._path}"

    @property
    def delta_options(self) -> dict[str, str] | None:
        bounded = {
            "max_retries": str(_RETRIES),
            "retry_timeout": f"{round(3000 * self._access.timeout_s)}ms",
        }
        return self._access.options() | bounded | {"aws_conditional_put": "etag"}

    @property
    def scan_options(self) -> dict[str, str | int] | None:
        return {**self._access.options(), "max_retries": _RETRIES}

    def uri(self, table: str) -> str:
        return f"s3://{self._path}/{table}"

    def files(self) -> arrow_fs.S3FileSystem:
        """Return the file system of this storage, opened once."""
        if self._files is None:
            self._files = self._access.filesystem()
        return self._files

    def tables(self) -> tuple[str, ...]:
        listed = arrow_fs.FileSelector(self._path, allow_not_found=True)
        with answering():
            names = [f.base_name for f in self.files().get_file_info(listed)]
            return tuple(sorted(n for n in names if self.exists(n)))

    def exists(self, table: str) -> bool:
        log = arrow_fs.FileSelector(f"{self._path}/{table}/_delta_log", allow_not_found=True)
        with answering():
            return bool(self.files().get_file_info(log))

    def commit_stamp(self, table: str, version: int) -> tuple[object | None, bool]:
        return None, False

    def prepare(self, table: str) -> None:
        with answering():
            if self.files().get_file_info(self._bucket).type == arrow_fs.FileType.NotFound:
                self.files().create_dir(self._bucket)

    def read_bytes(self, path: str) -> bytes:
        try:
            with answering(), self.files().open_input_stream(f"{self._path}/{path}") as stream:
                return bytes(stream.read())
        except ColdStoreUnavailableError as error:
            # Arrow says the same of what must be thawed and of a wrong key.
            if "ACCESS_DENIED" in str(error) and self._is_frozen(path):
                raise ColdArchivedError(_MUST_THAW) from error
            raise

    def objects(self) -> "S3Objects":
        """Return the storage's requests beside reading and writing."""
        from adapters.stores.s3_objects import S3Objects

        return S3Objects(self._bucket, self._access)

    @property
    def prefix(self) -> str:
        """Return what every key begins with, without the bucket."""
        return self._path.partition("/")[2]

    def _is_frozen(self, path: str) -> bool:
        key = "/".join(p for p in (self.prefix, path) if p)
        return self.objects().head(key).get("x-amz-storage-class") in FROZEN_CLASSES

    def write_bytes(self, path: str, content: bytes) -> None:
        with answering(), self.files().open_output_stream(f"{self._path}/{path}") as stream:
            stream.write(content)

    def file_names(self, folder: str) -> tuple[str, ...]:
        listed = arrow_fs.FileSelector(f"{self._path}/{folder}", allow_not_found=True)
        with answering():
            found = self.files().get_file_info(listed)
        return tuple(sorted(f.base_name for f in found if f.type == arrow_fs.FileType.File))

    def locked(self, table: str) -> Locked:
        return Locked(self._locks / table)


@contextmanager
def answering() -> Iterator[None]:
    """Turn what storage raises when it is away, which is many lines long, into one line."""
    try:
        yield
    except (ColdStoreUnavailableError, FileNotFoundError, TableNotFoundError):
        raise
    except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
        text = _one_line(error)
        if any(frozen in str(error) for frozen in _FROZEN):
            raise ColdArchivedError(_MUST_THAW) from error
        away = ("object-store", "Generic S3", "(os error")  # a full disk is an "os error"
        if isinstance(error, OSError) or any(a in text for a in away):
            raise ColdStoreUnavailableError(f"the cold storage failed: {text}") from error
        raise


def require_archive(files: Iterable[str]) -> None:
    """Raise ArchiveAwayError where a file of a folder is a link that leads to nothing."""
    for path in map(Path, files):
        if path.is_symlink() and not path.exists():
            raise ArchiveAwayError(
                f"{path} lies in the archive at {path.readlink()}, which is not there"
            )


def _one_line(error: Exception) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m|\u21b3", "", str(error))
    return " ".join(plain.split())[:400]


def storage(options: Mapping[str, str | int] | None) -> dict[str, object]:
    """Return keyword arguments for polars' scans."""
    return {} if options is None else {"storage_options": dict(options)}
