"""News of Interactive Brokers as a source: headlines of contracts, known from their stamps."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from ib_async import IB, HistoricalNews, NewsArticle, NewsProvider

from adapters.sources.ib.line import IbLine
from adapters.sources.ib.names import NamedContract, parse_contract
from features.calendars import utc
from features.schemas import INSTRUMENTS, NEWS

_RESULTS_MAX = 300  # what the broker gives at once
_PAGES_MAX = 1_000
_MARKUP = re.compile(r"^\{[^}]*\}")  # "{A:800015:L:en:K:0.97:C:0.97}" before some headlines


@dataclass(frozen=True, slots=True, kw_only=True)
class IbNewsSettings:
    """Whose news; no `providers` asks all of the account's. `bodies` costs a request each."""

    contracts: tuple[str, ...]
    providers: tuple[str, ...] = ()
    bodies: bool = False
    language: str = "en"

    def __post_init__(self) -> None:
        if not self.contracts:
            raise ValueError("contracts must name at least one, named none")


class IbNewsSource:
    """A `Source` of news: the broker dates an item when it published it, and from then it is known.

    An item that is rewritten gets another id, and is another piece of news.
    """

    name = "ib_news"
    tables = (NEWS.name,)

    def __init__(self, settings: IbNewsSettings, line: IbLine) -> None:
        self._settings, self._line = settings, line
        self._named = [parse_contract(text) for text in settings.contracts]

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the items with start <= event_time < end, each once.

        Raises SourceUnavailableError, SourceRefusedError, and ValueError for another table.
        """
        if table != NEWS.name:
            raise ValueError(f"table must be {NEWS.name!r}, was {table!r}")
        codes = self._settings.providers or self._providers()
        rows = {
            str(row["news_id"]): row
            for named in self._named
            for row in self._items(named, "+".join(codes), utc(start), utc(end))
        }
        if not rows:
            return NEWS.empty()
        frame = NEWS.conform(pl.DataFrame(list(rows.values()), infer_schema_length=None))
        return frame.sort("event_time", "news_id")

    def instruments(self) -> pl.DataFrame:
        """Return no rows: the contracts are described where their bars come from."""
        return INSTRUMENTS.empty()

    def _providers(self) -> tuple[str, ...]:
        none: list[NewsProvider] = []
        found = self._line.ask(
            "news providers", "news", lambda c: c.reqNewsProvidersAsync(), none, paced=False
        )
        return tuple(provider.code for provider in found)

    def _items(
        self, named: NamedContract, codes: str, start: datetime, end: datetime
    ) -> Iterator[dict[str, object]]:
        contract = self._line.details(named.contract).contract
        if contract is None:
            return
        for number, told in enumerate(self._told(contract.conId, codes, start, end)):
            at = told.time.replace(tzinfo=UTC) if told.time.tzinfo is None else utc(told.time)
            if start <= at < end:
                yield self._row(named, number, told, at)

    def _told(
        self, con_id: int, codes: str, start: datetime, end: datetime
    ) -> Iterator[HistoricalNews]:
        """Yield the items of a window, the newest first, page by page."""
        until, seen = end, set[str]()
        for _ in range(_PAGES_MAX):
            page = self._page(con_id, codes, start, until)
            fresh = [item for item in page if item.articleId not in seen]
            seen |= {item.articleId for item in fresh}
            yield from fresh
            if len(page) < _RESULTS_MAX or not fresh:
                return
            oldest = min(item.time for item in page).replace(tzinfo=UTC)
            until = oldest + timedelta(seconds=1)  # some may share the second of the oldest

    def _page(
        self, con_id: int, codes: str, start: datetime, until: datetime
    ) -> list[HistoricalNews]:
        asked = f"news {con_id} {codes} {start:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S}"
        none: list[HistoricalNews] = []

        async def ask(client: IB) -> list[HistoricalNews] | None:
            told: Any = await client.reqHistoricalNewsAsync(
                con_id, codes, start, until, _RESULTS_MAX
            )
            return told

        return self._line.ask(asked, str(con_id), ask, none)

    def _row(
        self, named: NamedContract, number: int, told: HistoricalNews, at: datetime
    ) -> dict[str, object]:
        headline = _MARKUP.sub("", told.headline).strip() or told.headline
        source = f"ib/{told.providerCode}"
        text = "\n".join((source, told.articleId, headline))
        return {
            "news_id": hashlib.sha256(text.encode()).hexdigest()[:32],
            "event_time": at,
            "knowledge_time": at,
            "instrument_id": named.instrument_id,
            "headline": headline,
            "body": self._body(told) if self._settings.bodies else None,
            "language": self._settings.language,
            "precision": "second",
            "source": source,
            "source_row": number,
        }

    def _body(self, told: HistoricalNews) -> str | None:
        article = self._line.ask(
            f"article {told.articleId}",
            told.providerCode,
            lambda client: client.reqNewsArticleAsync(told.providerCode, told.articleId),
            NewsArticle(0, ""),
        )
        return article.articleText or None if article.articleType == 0 else None
