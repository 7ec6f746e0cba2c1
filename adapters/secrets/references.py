"""A secret is given as itself, or as a reference to a file, a variable, or a Vault."""

from collections.abc import Callable, Mapping
from pathlib import Path

FILE, VARIABLE, VAULT = "file:", "env:", "vault:"
_BYTES_MAX = 65_536
ReadVault = Callable[[str, str], str]  # (path, field) -> value


class SecretError(ValueError):
    """A reference that leads to no secret; its text names the reference, never a secret."""


def is_reference(text: str) -> bool:
    """Return whether a text says where a secret lies instead of being one."""
    return text.startswith((FILE, VARIABLE, VAULT))


def resolve(text: str, *, variables: Mapping[str, str], read_vault: ReadVault | None = None) -> str:
    """Return the secret that a text refers to, or the text where it is no reference.

    `file:/run/secrets/redis`, `env:REDIS_URL`, `vault:secret/apiary#redis_url` (a path of the
    key-value store and a field). Raises SecretError with one line.
    """
    if text.startswith(FILE):
        return _of_file(text)
    if text.startswith(VARIABLE):
        found = variables.get(text.removeprefix(VARIABLE), "")
        if not found:
            raise SecretError(f"{text} must name a variable that is set, is not")
        return found
    if text.startswith(VAULT):
        path, separator, field = text.removeprefix(VAULT).partition("#")
        if not (path and separator and field):
            raise SecretError(f"a reference must be vault:PATH#FIELD, was {text}")
        if read_vault is None:
            raise SecretError(f"{text} needs a Vault: vault_url must be set, is not")
        return read_vault(path, field)
    return text


def _of_file(text: str) -> str:
    path = Path(text.removeprefix(FILE))
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
        secret = content.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SecretError(f"{text} must be a file that can be read: {reason}") from error
    if not secret or len(content) > _BYTES_MAX:
        raise SecretError(f"{text} must hold 1 to {_BYTES_MAX} bytes of text, held {len(content)}")
    return secret
