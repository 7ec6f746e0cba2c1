"""Envelope encryption of files: each under a data key, the data key under its owner's key.

AES-256-GCM (NIST SP 800-38D) from `cryptography`. The path of a file is authenticated with it, so
that one file cannot be put in another's place.
"""

import json
import secrets
from collections import OrderedDict
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.secrets.references import SecretError

_MAGIC = b"APIARY-SEALED-1\n"
_HEADER_BYTES = 1_024  # of one length, so that a key can be wrapped anew without moving the rest
_NONCE_BYTES = 12
_FILES_PER_KEY = 1 << 20  # random nonces of 96 bits: far below the bound of 2^32 for one key
_CACHED_KEYS = 4_096


class SealError(ValueError):
    """A file that is not sealed, not for this owner, or not whole; the text names it."""


class KeyRing(Protocol):
    """Wraps data keys under the keys of owners, which never leave it."""

    def wrap(self, owner: str, key: bytes) -> str: ...

    def unwrap(self, owner: str, wrapped: str) -> bytes: ...

    def rewrap(self, owner: str, wrapped: str) -> str: ...


class Sealer:
    """Seals and opens the files of one owner.

    One data key serves many files, and an unwrapped one is remembered in this process, so that a
    read asks the key ring once and not once a file.
    """

    def __init__(self, owner: str, keys: KeyRing) -> None:
        if not owner or len(owner) > 100 or not owner.isprintable():
            raise ValueError(f"owner must be printable text of 1 to 100 letters, was {owner!r}")
        self.owner, self._keys = owner, keys
        self._data_key: tuple[bytes, str] | None = None
        self._left = 0
        self._opened: OrderedDict[str, bytes] = OrderedDict()

    def seal(self, data: bytes, path: str) -> bytes:
        """Return the bytes sealed for a path."""
        key, wrapped = self._current_key()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        header = _header(self.owner, wrapped)
        return header + nonce + AESGCM(key).encrypt(nonce, data, self._bound(path))

    def open(self, sealed: bytes, path: str) -> bytes:
        """Return the bytes; SealError where they are not this owner's, this path's, or whole.

        SecretError, which names the path, where its key cannot be unwrapped.
        """
        owner, wrapped = read_header(sealed, path)
        if owner != self.owner:
            raise SealError(f"{path} must be sealed for {self.owner}, is for {owner}")
        try:
            key = self._unwrapped(wrapped)
        except SecretError as error:
            raise SecretError(f"{path} cannot be opened: {error}") from error
        start = _HEADER_BYTES + _NONCE_BYTES
        nonce, body = sealed[_HEADER_BYTES:start], sealed[start:]
        try:
            return AESGCM(key).decrypt(nonce, body, self._bound(path))
        except InvalidTag as error:
            raise SealError(f"{path} must be as it was sealed, was changed or moved") from error

    def rewrapped(self, sealed: bytes, path: str) -> bytes:
        """Return the file with its data key under the owner's newest key; its body is as it was."""
        owner, wrapped = read_header(sealed, path)
        try:
            newer = self._keys.rewrap(owner, wrapped)
        except SecretError as error:
            raise SecretError(f"{path} cannot be wrapped anew: {error}") from error
        return _header(owner, newer) + sealed[_HEADER_BYTES:]

    def _current_key(self) -> tuple[bytes, str]:
        if self._data_key is None or self._left <= 0:
            key = AESGCM.generate_key(bit_length=256)
            self._data_key, self._left = (key, self._keys.wrap(self.owner, key)), _FILES_PER_KEY
        self._left -= 1
        return self._data_key

    def _unwrapped(self, wrapped: str) -> bytes:
        if wrapped not in self._opened:
            self._opened[wrapped] = self._keys.unwrap(self.owner, wrapped)
            while len(self._opened) > _CACHED_KEYS:
                self._opened.popitem(last=False)
        return self._opened[wrapped]

    def _bound(self, path: str) -> bytes:
        return b"\x00".join((_MAGIC, self.owner.encode(), path.encode()))


def is_sealed(data: bytes) -> bool:
    """Return whether bytes are those of a sealed file."""
    return data.startswith(_MAGIC)


def read_header(sealed: bytes, path: str) -> tuple[str, str]:
    """Return owner and wrapped key of a sealed file; SealError where it is none."""
    if not is_sealed(sealed) or len(sealed) < _HEADER_BYTES:
        raise SealError(f"{path} must be sealed, is not")
    try:
        told = json.loads(sealed[len(_MAGIC) : _HEADER_BYTES].rstrip(b"\x00"))
        return str(told["owner"]), str(told["key"])
    except (ValueError, KeyError, TypeError) as error:
        raise SealError(f"{path} must begin as a sealed file, does not") from error


def _header(owner: str, wrapped: str) -> bytes:
    told = _MAGIC + json.dumps({"owner": owner, "key": wrapped}).encode()
    if len(told) > _HEADER_BYTES:
        raise ValueError(f"a wrapped key must fit {_HEADER_BYTES} bytes, was {len(told)} long")
    return told.ljust(_HEADER_BYTES, b"\x00")
