"""Which servers may be reached in plain: none, those of this machine, or any."""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

TlsRule = Literal["always", "remote", "off"]
ClientCertificate = tuple[Path, Path]  # with its key
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# The other modes of libpq take any server for the right one, or speak in plain.
_VERIFIED = ("verify-full", "verify-ca")


def is_socket(host: str) -> bool:
    """Return whether this is the path of a socket, or none, which is PostgreSQL's own socket."""
    return not host or host.startswith("/")


def is_here(host: str) -> bool:
    """Return whether all the hosts, by commas, are this machine."""
    return is_socket(host) or all(h in _LOOPBACK for h in host.split(","))


def refuse_plain(what: str, host: str, *, is_tls: bool, rule: TlsRule) -> None:
    """Raise ValueError in one line where `what` at this host must be reached over TLS and is not.

    "always" refuses every plain connection over TCP, "remote" those that leave this machine,
    "off" none.
    """
    if _is_demanded(host, rule) and not is_tls:
        raise ValueError(f"{what} must be reached over TLS (APIARY_TLS={rule}), was plain: {host}")


def _is_demanded(host: str, rule: TlsRule) -> bool:
    return not is_socket(host) and (rule == "always" or (rule == "remote" and not is_here(host)))


def check_url(what: str, url: str, rule: TlsRule) -> None:
    """Refuse http://, redis:// and the like where the rule demands TLS."""
    at = _split(what, url)
    if at.scheme != "unix":
        is_tls = at.scheme in ("https", "rediss")
        refuse_plain(what, at.hostname or "localhost", is_tls=is_tls, rule=rule)


def client_certificate(
    what: str, certificate: Path | None, key: Path | None
) -> ClientCertificate | None:
    """Return the files that we prove ourselves by; None where there are none.

    Raises ValueError where one of the two is missing, or others than its user may read the key.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ValueError(f"the certificate of a client of {what} and its key must both be set")
    for name, file in (("certificate", certificate), ("key", key)):
        if not file.is_file():
            raise ValueError(f"the {name} of a client of {what} must be a file, was {file}")
    if key.stat().st_mode & 0o077:
        raise ValueError(f"the key {key} must be its user's alone to read (chmod 600), is not")
    return certificate, key


def redis_address(
    url: str, ca_file: Path | None, rule: TlsRule, own: ClientCertificate | None = None
) -> str:
    """Return the address with the authorities in it that the server must prove itself by.

    `own` is what we prove ourselves by. Raises ValueError where the address is of no TLS.
    """
    check_url("Redis", url, rule)
    given: dict[str, str] = {}
    if ca_file is not None:
        if not ca_file.is_file():
            raise ValueError(f"the authorities of Redis must be a file, was {ca_file}")
        given["ssl_ca_certs"] = str(ca_file)
    if own is not None:
        if not url.startswith("rediss://"):
            raise ValueError("a certificate is shown over TLS alone: Redis must be rediss://")
        given |= {"ssl_certfile": str(own[0]), "ssl_keyfile": str(own[1])}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(given)}" if given else url


def postgres_address(
    what: str,
    url: str,
    ca_file: Path | None,
    rule: TlsRule,
    own: ClientCertificate | None = None,
) -> str:
    """Return the address as a URL or text of libpq that verifies the server where it must.

    `own` is what we prove ourselves by, to a server that proves itself. Raises ValueError where the
    address is none, or itself asks for less than the rule demands.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except ProgrammingError:
        # What libpq says repeats the text, and with it the password.
        raise ValueError(f"the address of {what} must be a URL or key=value text") from None
    host = str(parts.get("host") or "")
    if "sslmode" in parts:
        refuse_plain(what, host, is_tls=parts["sslmode"] in _VERIFIED, rule=rule)
    elif not _is_demanded(host, rule) and ca_file is None and own is None:
        return url
    given = {"sslmode": "verify-full", "sslrootcert": "system"}
    given |= {} if ca_file is None else {"sslrootcert": str(ca_file)}
    given |= {} if own is None else {"sslcert": str(own[0]), "sslkey": str(own[1])}
    missing = {k: v for k, v in given.items() if k not in parts}
    if "://" in url:
        return f"{url}{'&' if '?' in url else '?'}{urlencode(missing)}" if missing else url
    return " ".join([url, *(f"{k}='{v}'" for k, v in missing.items())])


def _split(what: str, url: str) -> Any:
    try:
        return urlsplit(url)
    except ValueError:
        # What it says may repeat the text, and with it the password.
        raise ValueError(f"the address of {what} must be a URL") from None
