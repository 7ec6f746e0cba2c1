"""The hash of the code that makes features and models, for the card of a model."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def code_hash(packages: Iterable[str] = ("features", "models")) -> str:
    """Return the sha256 of every Python source of the packages, by relative path and content."""
    digest = hashlib.sha256()
    for package in sorted(packages):
        sources = sorted((_ROOT / package).rglob("*.py"))
        if not sources:
            raise ValueError(f"package {package!r} must have sources below {_ROOT}, had none")
        for path in sources:
            digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
