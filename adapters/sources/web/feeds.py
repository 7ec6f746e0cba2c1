"""News out of RSS and Atom feeds: each item once, with when it was published and when we saw it."""

import calendar
import hashlib
import html
import io
import xml.sax
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import feedparser
import polars as pl

from adapters.sources.web.http import HttpClient, SourceRefusedError
from features.calendars import utc
from features.schemas import INSTRUMENTS, NEWS

_HEADLINE_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Feeds by name; the name is part of every item's source and id."""

    urls: Mapping[str, str]
    language: str = "en"
    items_max: int = 10_000  # in one answer

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError("urls must name at least one feed, named none")


@dataclass(slots=True)
class _FeedState:
    """What is remembered of a feed between two looks at it."""

    etag: str = ""
    modified: str = ""
    items: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])


class FeedSource:
    """A `Source` of news: event_time is the publisher's stamp, knowledge_time when we fetched it.

    An item is known from the first look that shows it, whatever its stamp says. Unchanged feeds are
    not transferred again (ETag, Last-Modified). Items seen once stay, though the feed drops them.
    """

    name = "feeds"
    tables = (NEWS.name,)

    def __init__(
        self, settings: FeedSettings, client: HttpClient, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._states = {name: _FeedState() for name in settings.urls}

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Look at every feed and return the items seen so far with start <= event_time < end.

        Raises SourceUnavailableError, SourceRefusedError where an answer is no feed, ValueError.
        """
        if table != NEWS.name:
            raise ValueError(f"table must be {NEWS.name!r}, was {table!r}")
        for name, url in self._settings.urls.items():
            self._look(name, url)
        items = [item for state in self._states.values() for item in state.items.values()]
        rows = (
            NEWS.conform(pl.DataFrame(items, infer_schema_length=None)) if items else NEWS.empty()
        )
        inside = (pl.col("event_time") >= utc(start)) & (pl.col("event_time") < utc(end))
        return rows.filter(inside).sort("event_time", "news_id")

    def instruments(self) -> pl.DataFrame:
        """Return no rows: a feed's items name no instruments of their own accord."""
        return INSTRUMENTS.empty()

    def _look(self, name: str, url: str) -> None:
        state = self._states[name]
        headers = {"If-None-Match": state.etag, "If-Modified-Since": state.modified}
        answer = self._client.get(url, headers={k: v for k, v in headers.items() if v})
        if answer.status == 304:
            return
        # Bytes, not text: feedparser would take a text for an address and go there.
        parsed = feedparser.parse(io.BytesIO(answer.body))
        if not parsed.get("version"):
            raise SourceRefusedError(
                f"{url.partition('?')[0]} must be an RSS or Atom feed, was not"
            )
        seen_at = utc(self._clock())
        for row, entry in enumerate(parsed.entries[: self._settings.items_max]):
            item = self._item(name, row, entry, seen_at)
            if item is not None:
                state.items.setdefault(str(item["news_id"]), item)
        # A feed that breaks off is asked for whole the next time: what it did not show is not seen.
        is_whole = not isinstance(parsed.get("bozo_exception"), xml.sax.SAXException)
        state.etag = answer.headers.get("etag", "") if is_whole else ""
        state.modified = answer.headers.get("last-modified", "") if is_whole else ""

    def _item(
        self, name: str, row: int, entry: Mapping[str, object], seen_at: datetime
    ) -> dict[str, object] | None:
        body = str(entry.get("summary") or "").strip()
        # An item without a title is its text, as short messages are.
        headline = str(entry.get("title") or "").strip() or body[:_HEADLINE_CHARACTERS]
        identity = str(entry.get("id") or entry.get("link") or headline)
        if not headline or not identity:
            return None
        published = _moment(entry.get("published_parsed")) or _moment(entry.get("updated_parsed"))
        source = f"feeds/{name}"
        # The text is part of the id: a headline that is rewritten is another piece of news.
        text = "\n".join((source, identity, headline))
        event_time = published or seen_at
        return {
            "news_id": hashlib.sha256(text.encode()).hexdigest()[:32],
            "event_time": event_time,
            "knowledge_time": max(seen_at, event_time),
            "headline": html.unescape(headline),
            "body": body or None,
            "language": self._settings.language,
            "precision": "second",
            "source": source,
            "source_row": row,
        }


def _moment(parsed: object) -> datetime | None:
    """Return the UTC moment that feedparser read (a struct_time in UTC); None where it is none."""
    if parsed is None:
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), tz=UTC)  # type: ignore[arg-type]  # a struct_time
    except (ValueError, OverflowError, OSError):  # a year that no clock knows
        return None
