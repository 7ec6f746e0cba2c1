"""HTTP for sources: time limits, bounded retries, honest errors, and no page taken for data."""

import email.utils
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType

import httpx
import tenacity

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_KEY_CHARACTERS_MIN = 6  # of what was sent, shorter words are no keys
_HTML_OPENINGS = (b"<!doctype html", b"<html")


class SourceUnavailableError(OSError):
    """The place cannot be reached, or did not answer properly in all attempts."""


class SourceRefusedError(ValueError):
    """The place answered, and the answer is no: a bad key, a bad request, or no data at all."""


class _TransientError(Exception):
    """An answer that another attempt may mend."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


# What another attempt may mend; a body that cannot be unpacked was damaged on its way.
_AGAIN = (_TransientError, httpx.TransportError, httpx.DecodingError)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits of one source's requests; times in seconds, sizes in bytes."""

    timeout_s: float = 20.0  # silence of the other side
    total_timeout_s: float = 120.0  # a whole answer, however steadily it drips
    attempts: int = 4
    wait_first_s: float = 0.5
    wait_longest_s: float = 60.0  # a longer Retry-After is for the next run
    body_bytes_max: int = 64 << 20
    requests_per_minute_max: int = 0  # 0: no limit of our own
    user_agent: str = "apiary/0.1"

    def __post_init__(self) -> None:
        for name in ("timeout_s", "total_timeout_s", "wait_longest_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} must lie in 0 to 3600, was {getattr(self, name)}")
        if not 1 <= self.attempts <= 10:
            raise ValueError(f"attempts must lie within 1 to 10, was {self.attempts}")
        if not 0 <= self.wait_first_s <= self.wait_longest_s:
            raise ValueError(
                f"wait_first_s must lie in 0 to wait_longest_s, was {self.wait_first_s}"
            )
        if not 1 <= self.body_bytes_max <= 1 << 30:
            raise ValueError(f"body_bytes_max must lie in 1 to 1 GiB, was {self.body_bytes_max}")
        if not 0 <= self.requests_per_minute_max <= 100_000:
            raise ValueError(
                "requests_per_minute_max must lie in 0 to 100000, was "
                f"{self.requests_per_minute_max}"
            )


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: 200, 304 (nothing new) or 404 where the caller allowed it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class HttpClient:
    """Asks with GET, waits and asks again, and gives up after a bounded time.

    Messages name the address without its query, where keys travel, and no word of what was sent.
    """

    settings: HttpSettings = field(default_factory=HttpSettings)
    sleep: Callable[[float], None] = time.sleep
    _client: httpx.Client = field(init=False)
    _last_request_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._client = httpx.Client(
            timeout=self.settings.timeout_s,
            follow_redirects=True,
            headers={"User-Agent": self.settings.user_agent},
        )

    def __enter__(self) -> "HttpClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        may_be_missing: bool = False,
    ) -> Answer:
        """Return the answer; 404 is one where `may_be_missing`.

        Raises SourceUnavailableError after the last attempt, SourceRefusedError where no attempt
        would help: another status of 4xx, a web page instead of data, or a body over the limit.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.settings.attempts),
            wait=self._wait_s,
            retry=tenacity.retry_if_exception_type(_AGAIN),
            sleep=self.sleep,
            reraise=True,
        )
        place = url.partition("?")[0]
        try:
            return retrying(self._ask, url, params or {}, headers or {}, may_be_missing)
        except httpx.TooManyRedirects as error:
            raise SourceRefusedError(f"{place} must not lead in circles, did") from error
        except _AGAIN as error:
            reason = str(error) or type(error).__name__
            raise SourceUnavailableError(
                f"{place} must answer within {self.settings.attempts} attempts, did not: {reason}"
            ) from error

    def get_json(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> object:
        """Return the JSON of the answer, numbers with a fraction as written (text)."""
        answer = self.get(url, params, headers)
        try:
            return json.loads(answer.body, parse_float=str)
        except (ValueError, RecursionError) as error:
            place = url.partition("?")[0]
            raise SourceRefusedError(f"{place} must answer with JSON, did not: {error}") from error

    def _ask(
        self, url: str, params: Mapping[str, str | int], headers: Mapping[str, str],
        may_be_missing: bool,
    ) -> Answer:  # fmt: skip
        self._keep_pace()
        begin_s = time.monotonic()
        with self._client.stream("GET", url, params=dict(params), headers=dict(headers)) as stream:
            body = self._read(stream, begin_s)
            status = stream.status_code
            if status in _TRANSIENT_STATUS:
                raise _TransientError(f"status {status}", _retry_after_s(stream.headers))
            if status == 304 or (status == 404 and may_be_missing):
                return Answer(status, dict(stream.headers), body)
            place = url.partition("?")[0]
            said = _message(body, [*params.values(), *headers.values()])
            if status >= 400:
                raise SourceRefusedError(
                    f"{place} must accept the request, was status {status}: {said}"
                )
            if _is_web_page(stream.headers, body):
                raise SourceRefusedError(f"{place} must answer with data, was a web page: {said}")
            return Answer(status, dict(stream.headers), body)

    def _read(self, stream: httpx.Response, begin_s: float) -> bytes:
        body = bytearray()
        for chunk in stream.iter_bytes():
            body += chunk
            if len(body) > self.settings.body_bytes_max:
                raise SourceRefusedError(
                    f"an answer must have at most {self.settings.body_bytes_max} bytes, was more"
                )
            if time.monotonic() - begin_s > self.settings.total_timeout_s:
                raise _TransientError(f"no end after {self.settings.total_timeout_s} s")
        return bytes(body)

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        doubled = self.settings.wait_first_s * 2 ** (state.attempt_number - 1)
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait_s if isinstance(error, _TransientError) else None
        return min(asked if asked is not None else doubled, self.settings.wait_longest_s)

    def _keep_pace(self) -> None:
        if self.settings.requests_per_minute_max:
            due_s = self._last_request_s + 60 / self.settings.requests_per_minute_max
            wait_s = due_s - time.monotonic()
            if wait_s > 0:
                self.sleep(wait_s)
        self._last_request_s = time.monotonic()


def _retry_after_s(headers: httpx.Headers) -> float | None:
    """Read Retry-After: seconds, or a moment (RFC 9110, 10.2.3) seen from the answer's own Date."""
    text = headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    moment, now = _http_date(text), _http_date(headers.get("date", ""))
    return max(0.0, (moment - now).total_seconds()) if moment and now else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_web_page(headers: httpx.Headers, body: bytes) -> bool:
    said = headers.get("content-type", "").startswith("text/html")
    return said or body.lstrip()[:15].lower().startswith(_HTML_OPENINGS)


def _message(body: bytes, sent: Iterable[str | int]) -> str:
    """The first words of an answer, in one line; keys that it repeats are blotted out."""
    text = " ".join(body[:2000].decode("utf-8", "replace").split())
    for value in sent:
        for word in str(value).split():
            if len(word) >= _KEY_CHARACTERS_MIN:
                text = text.replace(word, "***")
    return text[:200]
