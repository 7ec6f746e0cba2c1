"""Owners' keys in one file of this machine, for desks without a Vault."""

import base64
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.file_lock import Locked
from adapters.secrets.references import SecretError

_NONCE_BYTES, _KEY_BYTES = 12, 32
_MARK = "file"


class KeyFile:
    """Keys of owners, every version of each; wraps data keys with AES-256-GCM under the newest.

    The file must be readable by its user alone; several processes may change it, one after the
    other, and none loses the key of another. Without it, what it wrapped cannot be read by
    anybody: keep a copy where the data are not. Raises SecretError with one line.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)

    def has_owner(self, owner: str) -> bool:
        return owner in self._read()

    def ensure_owner(self, owner: str) -> None:
        """Make the owner's first key where there is none."""
        if owner in self._read():
            return
        with self._changing():
            keys = self._read()
            if owner not in keys:
                self._write({**keys, owner: [_fresh()]})

    def rotate(self, owner: str) -> None:
        """Make a newer key for the owner; what older ones wrapped stays readable."""
        with self._changing():
            keys = self._read()
            self._write({**keys, owner: [*self._of(keys, owner), _fresh()]})

    def wrap(self, owner: str, key: bytes) -> str:
        """Return the key as only the holder of this file can read it."""
        versions = self._of(self._read(), owner)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(base64.b64decode(versions[-1])).encrypt(nonce, key, owner.encode())
        return f"{_MARK}:v{len(versions)}:{base64.b64encode(nonce + sealed).decode()}"

    def unwrap(self, owner: str, wrapped: str) -> bytes:
        """Return a key that `wrap` gave."""
        versions = self._of(self._read(), owner)
        mark, _, rest = wrapped.partition(":v")
        number, _, text = rest.partition(":")
        if mark != _MARK or not number.isdigit() or not 1 <= int(number) <= len(versions):
            raise SecretError(f"the key of {owner} must be of this file, was {wrapped[:12]!r}")
        try:
            data = base64.b64decode(text)
            key = AESGCM(base64.b64decode(versions[int(number) - 1]))
        except ValueError as error:
            raise SecretError(f"the wrapped key of {owner} must be whole, is not") from error
        try:
            return key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], owner.encode())
        except InvalidTag as error:
            raise SecretError(
                f"{self._path} must hold the key of {owner} that sealed this, holds another"
            ) from error

    def rewrap(self, owner: str, wrapped: str) -> str:
        """Return the same key under the owner's newest key."""
        return self.wrap(owner, self.unwrap(owner, wrapped))

    def _of(self, keys: dict[str, list[str]], owner: str) -> list[str]:
        if owner not in keys:
            raise SecretError(f"{self._path} must have a key of {owner}, has none")
        return keys[owner]

    def _read(self) -> dict[str, list[str]]:
        try:
            with self._path.open() as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                keys: Any = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SecretError(f"the key file {self._path} must be readable") from error
        if mode & 0o077:
            raise SecretError(f"the key file {self._path} must be 0600, was {mode:04o}")
        return keys

    def _changing(self) -> Locked:
        """Return the lock of those who change the file: a key that is lost takes its data along."""
        return Locked(self._path.with_name(f".{self._path.name}.lock"))

    def _write(self, keys: dict[str, list[str]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(keys, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
