"""Requests about news: who tells them, headlines of a contract, the text of one."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway_simulator import price_path
from gateway_simulator.clock import parse_date_time, utc_of
from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Listing
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Fields

PROVIDERS = (
    ("BRFG", "Briefing.com General Market Columns"),
    ("BRFUPDN", "Briefing.com Analyst Actions"),
    ("DJNL", "Dow Jones Newsletters"),
)
_RESULTS_MAX = 300
_EVERY_S = 6 * 3_600  # a headline of each contract about every six hours
_FIRST_S = 1_262_304_000  # the first second of 2010
_WORDS = (
    "shares rise as demand beats the forecast",
    "shares fall as costs weigh on the outlook",
    "announces a date for its quarterly results",
    "is upgraded by an analyst",
    "is downgraded by an analyst",
)


@dataclass(frozen=True, slots=True)
class Headline:
    time_s: int
    provider: str
    article_id: str
    text: str


def headlines(listing: Listing, seed: int, start_s: int, end_s: int) -> Iterator[Headline]:
    """Yield the headlines of a contract between two moments, the newest first."""
    key = f"{seed}:{listing.con_id}"
    for slot in range(end_s // _EVERY_S, max(start_s, _FIRST_S) // _EVERY_S - 1, -1):
        at = slot * _EVERY_S + int(price_path.uniform(key, "news", slot) * _EVERY_S)
        if not start_s <= at <= end_s:
            continue
        code = PROVIDERS[int(price_path.uniform(key, "who", slot) * len(PROVIDERS))][0]
        words = _WORDS[int(price_path.uniform(key, "what", slot) * len(_WORDS))]
        yield Headline(at, code, f"{code}${listing.con_id}-{slot}", f"{listing.symbol} {words}")


def req_news_providers(session: Session, _: Fields) -> None:
    told = [text for row in PROVIDERS for text in row]
    session.send(Out.NEWS_PROVIDERS, len(PROVIDERS), *told)


def req_historical_news(session: Session, fields: Fields) -> None:
    """Tell headlines, the newest first, and whether there are more."""
    request_id, con_id, codes = fields.whole(), fields.whole(), fields.text()
    start_text, end_text = fields.text(), fields.text()
    most = max(0, min(fields.whole(), _RESULTS_MAX))
    wanted = {code for code in codes.replace("+", ",").split(",") if code}
    unknown = wanted - {code for code, _ in PROVIDERS}
    if unknown or not wanted:
        reason = f"No such news provider: {sorted(unknown)}"
        session.error(request_id, Code.VALIDATING, request="cg", reason=reason)
        return
    if not session.gateway.catalogue.has(con_id):
        session.error(request_id, Code.NO_DEFINITION)
        return
    now_ns = session.gateway.clock.now_ns()
    end_s = min(_moment_ns(end_text, now_ns), now_ns) // 10**9
    start_s = _moment_ns(start_text, end_s * 10**9 - 7 * 86_400 * 10**9) // 10**9
    listing = session.gateway.catalogue.get(con_id)
    found = [
        item
        for item in headlines(listing, session.gateway.settings.seed, start_s, end_s)
        if item.provider in wanted
    ]
    for item in found[:most]:
        moment = f"{utc_of(item.time_s * 10**9):%Y-%m-%d %H:%M:%S}.0"
        row = (moment, item.provider, item.article_id, item.text)
        session.send(Out.HISTORICAL_NEWS, request_id, *row)
    session.send(Out.HISTORICAL_NEWS_END, request_id, len(found) > most)


def _moment_ns(text: str, default_ns: int) -> int:
    """Return a moment written as news requests write it: `2026-01-05 15:00:00.0`, in UTC."""
    if text[4:5] != "-":
        return parse_date_time(text, default_ns)
    head = text.strip().partition(".")[0]
    return parse_date_time(f"{head[:10].replace('-', '')} {head[11:] or '00:00:00'} UTC", 0)


def req_news_article(session: Session, fields: Fields) -> None:
    """Tell the text of an article: type 0 is plain text."""
    request_id, provider, article_id = fields.whole(), fields.text(), fields.text()
    con_id, _, slot = article_id.rpartition("$")[2].partition("-")
    known = con_id.isdigit() and slot.isdigit() and session.gateway.catalogue.has(int(con_id))
    if not known or not article_id.startswith(f"{provider}$"):
        reason = f"No such article: {article_id}"
        session.error(request_id, Code.VALIDATING, request="ca", reason=reason)
        return
    listing = session.gateway.catalogue.get(int(con_id))
    at = int(slot) * _EVERY_S
    found = list(headlines(listing, session.gateway.settings.seed, at, at + _EVERY_S - 1))
    text = found[0].text if found else listing.long_name
    session.send(Out.NEWS_ARTICLE, request_id, 0, f"{text}. Simulated: nothing of it happened.")


HANDLERS: dict[In, Handler] = {
    In.REQ_NEWS_PROVIDERS: req_news_providers,
    In.REQ_HISTORICAL_NEWS: req_historical_news,
    In.REQ_NEWS_ARTICLE: req_news_article,
}
