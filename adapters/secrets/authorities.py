"""Authorities of one's own beside those of the system, in one file, for clients that take one."""

import hashlib
import os
import tempfile
from pathlib import Path


def joined_authorities(own: Path, known: Path | None) -> Path:
    """Return a file that holds both; `known` itself where it holds them already.

    One file for each content, so that no process reads what another is writing. Raises ValueError
    where `own` is no file, or its folder belongs to somebody else.
    """
    if not own.is_file():
        raise ValueError(f"the authorities must be a file, was {own}")
    given = own.read_bytes().rstrip() + b"\n"
    trusted = known.read_bytes() if known is not None and known.is_file() else b""
    if known is not None and given in trusted:
        return known
    both = given + trusted
    folder = Path(tempfile.gettempdir()) / f"apiary-authorities-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    told = folder.lstat()
    if told.st_uid != os.getuid() or told.st_mode & 0o077 or folder.is_symlink():
        raise ValueError(f"{folder} must be a folder of this user alone, is not")
    path = folder / f"{hashlib.sha256(both).hexdigest()}.pem"
    if not path.is_file() or path.read_bytes() != both:
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(both)
        part.replace(path)
    return path
