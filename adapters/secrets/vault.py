"""A Vault-compatible server: its key-value store for secrets, its transit engine for keys."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapters.secrets.references import SecretError


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """How to reach it; the token is never shown. `ca_file` empty takes the system's authorities."""

    url: str
    token: str = field(repr=False)
    ca_file: str = ""
    timeout_s: int = 5


class Vault:
    """Reads secrets and wraps keys. Raises SecretError where the server is away or refuses."""

    def __init__(self, access: VaultAccess) -> None:
        try:
            import hvac
        except ImportError as error:
            raise ImportError("a Vault needs its client: `pip install apiary[vault]`") from error
        self._url = access.url
        self._client: Any = hvac.Client(
            url=access.url,
            token=access.token,
            verify=access.ca_file or True,
            timeout=access.timeout_s,
        )

    def read(self, path: str, name: str) -> str:
        """Return one field of a secret: `path` is MOUNT/REST of a key-value store, version 2."""
        mount, _, rest = path.partition("/")
        with self._answering(f"vault:{path}#{name}"):
            answer = self._client.secrets.kv.v2.read_secret_version(
                path=rest, mount_point=mount, raise_on_deleted_version=True
            )
        value = answer["data"]["data"].get(name)
        if not isinstance(value, str) or not value:
            raise SecretError(f"vault:{path}#{name} must hold text, does not")
        return value

    def wrap(self, owner: str, key: bytes) -> str:
        """Return the key as only this server can read it, under the newest key of the owner."""
        with self._answering(f"the key of {owner}"):
            answer = self._client.secrets.transit.encrypt_data(
                name=owner, plaintext=base64.b64encode(key).decode()
            )
        return str(answer["data"]["ciphertext"])

    def unwrap(self, owner: str, wrapped: str) -> bytes:
        """Return a key that `wrap` gave."""
        with self._answering(f"the key of {owner}"):
            answer = self._client.secrets.transit.decrypt_data(name=owner, ciphertext=wrapped)
        return base64.b64decode(answer["data"]["plaintext"])

    def rewrap(self, owner: str, wrapped: str) -> str:
        """Return the same key under the owner's newest key; it never leaves the server."""
        with self._answering(f"the key of {owner}"):
            answer = self._client.secrets.transit.rewrap_data(name=owner, ciphertext=wrapped)
        return str(answer["data"]["ciphertext"])

    def rotate(self, owner: str) -> None:
        """Make a newer key for the owner; what older ones wrapped stays readable."""
        with self._answering(f"the key of {owner}"):
            self._client.secrets.transit.rotate_key(name=owner)

    def ensure_owner(self, owner: str) -> None:
        """Make the owner's first key where there is none."""
        with self._answering(f"the key of {owner}"):
            self._client.secrets.transit.create_key(name=owner)

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        import hvac.exceptions
        import requests

        try:
            yield
        except hvac.exceptions.InvalidPath as error:
            raise SecretError(f"{what} must be in the Vault at {self._url}, is not") from error
        except (hvac.exceptions.VaultError, requests.RequestException) as error:
            # The text of such an error may hold what was asked with, so only its kind is told.
            raise SecretError(
                f"the Vault at {self._url} must answer for {what}, did not: {type(error).__name__}"
            ) from error
