"""Opens the sources that a desk's configuration names."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from adapters.clock import SystemClock
from adapters.sources.combined import RecordSource
from adapters.sources.files import FileSource
from adapters.sources.inference import Hints, infer_mapping
from adapters.sources.kept_frames import KeptFrames
from adapters.sources.mapping import MappingError, load_mapping, shipped_mapping
from adapters.sources.wheels import Progress

_log = logging.getLogger(__name__)


def open_folder(
    folder: Path,
    mapping: str | None,
    hints: Hints | None = None,
    progress: Progress = _log.info,
    kept_in: Path | None = None,
) -> FileSource:
    """Return the folder as a source, read by a YAML file, a shipped mapping, or an inferred one.

    `hints` answer what the files do not say of themselves; `progress` is told how far a folder of
    many files is read. What files held is kept below `kept_in`, so that a later process reads only
    those that changed. Raises MappingError where the mapping does not hold or too much would have
    to be guessed.
    """
    kept = None if kept_in is None else KeptFrames(kept_in)
    if mapping is None:
        return FileSource(folder, infer_mapping(folder, hints, progress, kept), progress, kept)
    if mapping.endswith((".yaml", ".yml")):
        path = Path(mapping)
        if not path.is_file():
            raise MappingError(f"a mapping must be a file that exists, was {path}")
        return FileSource(folder, load_mapping(path), progress, kept)
    return FileSource(folder, shipped_mapping(mapping), progress, kept)


def open_web_source(
    kind: str,
    *,
    series: Sequence[str],
    url: str | None,
    exchange: str | None,
    fred_api_key: str | None,
    daily_bars_token: str | None,
    clock: Callable[[], datetime] | None = None,
) -> RecordSource:
    """Return a web source: `series` are its series ids, tickers, currencies, symbols or feed URLs.

    Raises ValueError where it needs a key or names that are not given.
    """
    from adapters.sources.web.http import HttpClient

    ids = tuple(series)
    client = HttpClient()
    now = clock or SystemClock().now
    match kind:
        case "fred":
            from adapters.sources.web.fred import FredSettings, FredSource

            key = _needed(fred_api_key, "APIARY_FRED_API_KEY", kind)
            fred = FredSettings(api_key=key, series=ids, **_url("base_url", url))
            return FredSource(fred, client)
        case "ecb":
            from adapters.sources.web.ecb import EcbSettings, EcbSource

            usual = EcbSettings()
            ecb = EcbSettings(
                currencies=ids or usual.currencies, api_url=usual.api_url if url is None else url
            )
            return EcbSource(ecb, client)
        case "daily_bars":
            from adapters.sources.web.daily_bars import TiingoSettings, TiingoSource

            token = _needed(daily_bars_token, "APIARY_DAILY_BARS_TOKEN", kind)
            bars = TiingoSettings(api_key=token, tickers=ids, **_url("base_url", url))
            return TiingoSource(bars, client)
        case "crypto":
            import ccxt

            from adapters.sources.web.crypto import CryptoSettings, CryptoSource

            name = _needed(exchange, "exchange", kind)
            if name not in ccxt.exchanges:
                raise ValueError(f"exchange must be one that ccxt knows, was {name!r}")
            return CryptoSource(getattr(ccxt, name)(), CryptoSettings(symbols=ids), now)
        case "feeds":
            from adapters.sources.web.feeds import FeedSettings, FeedSource

            return FeedSource(FeedSettings(urls={u: u for u in ids}), client, now)
        case _:
            raise ValueError(
                f"a web source must be fred, ecb, daily_bars, crypto or feeds, was {kind!r}"
            )


def open_ib_source(
    kind: str,
    *,
    contracts: Sequence[str],
    interval: str,
    providers: Sequence[str],
    host: str,
    port: int,
    client_id: int,
    answer_s_max: float,
    clock: Callable[[], datetime] | None = None,
) -> RecordSource:
    """Return the bars or the news of Interactive Brokers; nothing is reached before it is needed.

    Raises ValueError on a contract's name or an interval that cannot be read.
    """
    import time

    from adapters.brokers.ib_session import IbSession, IbSettings
    from adapters.sources.ib.line import IbLine
    from adapters.sources.ib.pace import Pace

    reach = IbSettings(host=host, port=port, client_id=client_id, answer_s_max=answer_s_max)
    # History may be read from a live account as well: no order leaves by this line.
    session = IbSession(reach, trades=False)
    line = IbLine(session, Pace(time.monotonic, time.sleep))
    now = clock or SystemClock().now
    if kind == "ib_news":
        from adapters.sources.ib.news import IbNewsSettings, IbNewsSource

        news = IbNewsSettings(contracts=tuple(contracts), providers=tuple(providers))
        return IbNewsSource(news, line)
    from adapters.sources.ib.bars import IbBarSettings, IbBarSource

    return IbBarSource(IbBarSettings(contracts=tuple(contracts), interval=interval), line, now)


def _needed(value: str | None, name: str, kind: str) -> str:
    if not value:
        raise ValueError(f"{name} must be given for the {kind} source, was not")
    return value


def _url(name: str, url: str | None) -> dict[str, Any]:
    return {} if url is None else {name: url}
