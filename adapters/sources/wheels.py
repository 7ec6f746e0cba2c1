"""Pinned wheels as data: downloaded by name, verified by hash, read as zip, never imported."""

import bz2
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Progress = Callable[[str], None]

# Any operating system and any Python from 3.11 on gets these very files: they are read, not run.
_PLATFORM_ARGUMENTS = (
    "--only-binary=:all:", "--no-deps", "--python-version", "3.11", "--implementation", "cp",
    "--abi", "cp311", "--abi", "abi3", "--abi", "none",
    "--platform", "any", "--platform", "manylinux2014_x86_64",
    "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux_2_27_x86_64",
    "--platform", "manylinux_2_28_x86_64",
)  # fmt: skip
_QUIET_ARGUMENTS = ("--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-q")
_TIMEOUT_S = 600  # a line of 1 Mbit/s carries all 57 MB in this time
_PARALLEL_DOWNLOADS = 4


class ContentChangedError(ValueError):
    """A pinned file is not, byte for byte, what was pinned; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One pinned wheel file."""

    name: str
    package: str
    version: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One data file inside a wheel."""

    dataset: str
    wheel: str
    path: str
    bytes: int
    sha256: str
    licence: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which wheels are downloaded and which files inside them are read; `digest` names both."""

    wheels: Mapping[str, Wheel]
    files: Mapping[str, PinnedFile]
    digest: str


@cache
def read_manifest(path: Path) -> Manifest:
    """Return the manifest at the path."""
    raw = path.read_bytes()
    content = json.loads(raw)
    files = {
        name: PinnedFile(dataset=name, **{**entry, "tables": tuple(entry["tables"])})
        for name, entry in content["datasets"].items()
    }
    wheels = {name: Wheel(name=name, **entry) for name, entry in content["wheels"].items()}
    return Manifest(wheels, files, hashlib.sha256(raw).hexdigest())


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(wheels: Sequence[Wheel], folder: Path, progress: Progress) -> None:
    """Put the wheels that are missing into the folder, each verified before it appears there.

    Raises OSError where the package index cannot be reached, ContentChangedError where it gives
    other content than was pinned.
    """
    missing = [wheel for wheel in wheels if not (folder / wheel.name).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    size_mb = sum(wheel.bytes for wheel in missing) / 1e6
    progress(f"downloading {len(missing)} data wheels, {size_mb:.0f} MB, once")
    # One run of the package client for all costs a fifth of one run each; those that did not
    # come are asked for once more, each by itself.
    _attempt(missing, folder)
    still = [wheel for wheel in missing if not (folder / wheel.name).exists()]
    if still:
        progress(f"{len(still)} wheels did not come, trying each again")
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        for wheel, reason in zip(
            still, pool.map(lambda w: _attempt([w], folder), still), strict=True
        ):
            if reason:
                raise OSError(
                    f"the wheel {wheel.name} must be obtainable by `pip download {wheel.package}=="
                    f"{wheel.version}`, was not after 2 attempts: {reason}"
                )
    for done, wheel in enumerate(missing, start=1):
        progress(f"downloaded {wheel.package} {wheel.version} ({done} of {len(missing)})")


def verify(wheel: Wheel, folder: Path) -> Path:
    """Return the wheel's path once its content is the pinned one.

    Raises FileNotFoundError where it is absent, ContentChangedError where it differs.
    """
    path = folder / wheel.name
    found = sha256_of(path)
    if found != wheel.sha256:
        raise ContentChangedError(
            f"{path} must have the pinned sha256 {wheel.sha256}, was {found}; "
            "delete it to download it anew"
        )
    return path


def read_member(file: PinnedFile, wheel_path: Path) -> bytes:
    """Return the pinned file's content, decompressed where it is a .gz, .bz2 or .zip.

    Raises ContentChangedError where size or hash differ from the pinned ones.
    """
    with zipfile.ZipFile(wheel_path) as archive:
        size = archive.getinfo(file.path).file_size
        if size != file.bytes:
            raise ContentChangedError(
                f"{file.path} in {wheel_path.name} must have {file.bytes} bytes, was {size}"
            )
        raw = archive.read(file.path)
    found = hashlib.sha256(raw).hexdigest()
    if found != file.sha256:
        raise ContentChangedError(
            f"{file.path} in {wheel_path.name} must have the pinned sha256 {file.sha256}, "
            f"was {found}"
        )
    return _decompress(raw, Path(file.path).suffix)


def _decompress(raw: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.decompress(raw)
    if suffix == ".bz2":
        return bz2.decompress(raw)
    if suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return archive.read(archive.namelist()[0])
    return raw


def _attempt(wheels: Sequence[Wheel], folder: Path) -> str:
    """Download the wheels, keep those that came and are right; return why others did not, or ""."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as incoming:
        failure = _run_pip(wheels, incoming)
        for wheel in wheels:
            if (Path(incoming) / wheel.name).exists():
                verify(wheel, Path(incoming))
                # Atomic: a reader sees the whole wheel or none, whoever else downloads.
                os.replace(Path(incoming) / wheel.name, folder / wheel.name)  # noqa: PTH105
            else:
                failure = failure or "the index gave another file instead"
    return failure


def _run_pip(wheels: Sequence[Wheel], target: str) -> str:
    """Download wheels into the target folder; return one line on why it failed, or ""."""
    command = [
        sys.executable, "-m", "pip", "download", *_QUIET_ARGUMENTS, *_PLATFORM_ARGUMENTS,
        "-d", target, *(f"{wheel.package}=={wheel.version}" for wheel in wheels),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIMEOUT_S} s"
    return _last_error(done.stderr) if done.returncode else ""


def _last_error(output: str) -> str:
    """Return pip's own last error, without addresses, which may carry credentials."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no message"]
    return re.sub(r"\b\w+://\S+", "<address>", errors[-1])[:300]
