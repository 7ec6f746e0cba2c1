"""What S3 does with an object beside reading and writing it: its class, and its way out of one."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import httpx

from adapters.stores.cold_errors import ColdStoreUnavailableError
from adapters.stores.s3_access import S3Access

_ALGORITHM = "AWS4-HMAC-SHA256"
_STANDARD = "STANDARD"
_COPY_BYTES_MAX = 5 * 10**9  # larger objects must be copied in parts
_RESTORE = (
    '<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Days>{days}</Days>'
    "<GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>"
)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size: int
    storage_class: str


class S3Objects:
    """Objects of one bucket, by requests signed with version 4.

    Raises ColdStoreUnavailableError in one line where the storage is away or refuses.
    """

    def __init__(self, bucket: str, access: S3Access) -> None:
        if not access.access_key or not access.secret_key:
            raise ValueError("an archive on S3 needs an access key and a secret key")
        self._bucket, self._access = bucket, access
        endpoint = access.endpoint or f"https://s3.{access.region}.amazonaws.com"
        self._endpoint, self._host = endpoint.rstrip("/"), urlsplit(endpoint).netloc
        verify = True if access.ca_file is None else str(access.ca_file)
        self._client = httpx.Client(timeout=access.timeout_s, verify=verify)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key starts so."""
        token = ""
        while True:
            query = {"list-type": "2", "prefix": prefix}
            answer = self._ask("GET", "", query | ({"continuation-token": token} if token else {}))
            root = ElementTree.fromstring(answer.content)
            space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
            for found in root.iter(f"{space}Contents"):
                cells = {c.tag.removeprefix(space): c.text or "" for c in found}
                kept = cells.get("StorageClass") or _STANDARD
                yield StoredObject(cells["Key"], int(cells["Size"]), kept)
            token = root.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def head(self, key: str) -> Mapping[str, str]:
        """Return the headers of an object, their names in lower case."""
        return {k.lower(): v for k, v in self._ask("HEAD", key).headers.items()}

    def change_class(self, found: StoredObject, storage_class: str) -> None:
        """Copy an object onto itself in another class: all or nothing, its bytes stay."""
        if found.size > _COPY_BYTES_MAX:
            raise ValueError(f"{found.key} must have at most 5 GB to change its class")
        source = quote(f"/{self._bucket}/{found.key}", safe="/~")
        headers = {
            "x-amz-copy-source": source,
            "x-amz-storage-class": storage_class,
            # Some servers take a copy onto itself for an error unless something else changes too.
            "x-amz-metadata-directive": "REPLACE",
        }
        answer = self._ask("PUT", found.key, headers=headers)
        if b"<Error" in answer.content:  # a copy may fail after its status was sent
            raise ColdStoreUnavailableError(f"the cold storage failed: {_code(answer)}")

    def restore(self, key: str, days: int) -> None:
        """Ask for a readable copy of an object that must be thawed; it takes minutes to days."""
        self._ask("POST", key, {"restore": ""}, body=_RESTORE.format(days=days).encode())

    def _ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> httpx.Response:
        path = quote(f"/{self._bucket}/{key}" if key else f"/{self._bucket}", safe="/~")
        asked = "&".join(
            f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted((query or {}).items())
        )
        signed = self._signed(method, path, asked, dict(headers or {}), body)
        url = f"{self._endpoint}{path}{'?' if asked else ''}{asked}"
        try:
            answer = self._client.request(method, url, headers=signed, content=body)
        except httpx.HTTPError as error:
            raise ColdStoreUnavailableError(f"the cold storage failed: {error}") from error
        if answer.is_error:
            text = f"{method} of {key or self._bucket}: {answer.status_code} {_code(answer)}"
            raise ColdStoreUnavailableError(f"the cold storage failed: {text}")
        return answer

    def _signed(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> dict[str, str]:
        """Return the headers with their signature (AWS Signature Version 4, 2012)."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")  # noqa: TID251 - the storage compares it with its own
        digest = hashlib.sha256(body).hexdigest()
        given = headers | {
            "host": self._host,
            "x-amz-date": moment,
            "x-amz-content-sha256": digest,
        }
        names = ";".join(sorted(given))
        lines = "".join(f"{name}:{given[name]}\n" for name in sorted(given))
        request = "\n".join((method, path, query, lines, names, digest))
        scope = f"{moment[:8]}/{self._access.region}/s3/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join((_ALGORITHM, moment, scope, hashed))
        key = f"AWS4{self._access.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        credential = f"{self._access.access_key}/{scope}"
        authorization = f"Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return given | {"authorization": f"{_ALGORITHM} {authorization}"}


def _code(answer: httpx.Response) -> str:
    """Return the code of an error, and no more: the rest may repeat what was sent."""
    content = answer.content.partition(b"<Code>")[2].partition(b"</Code>")[0]
    return content.decode(errors="replace") or answer.reason_phrase
