"""Requests that look over the market: the scanner, its parameters, and histograms of prices."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gateway_simulator.bars import DAY_S, history, start_of
from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Listing, read_asked
from gateway_simulator.market import Quote
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Field, Fields

_SCANNED_AGAIN_EVERY_S = 30.0
_ROWS_MAX = 50  # as many as the gateway gives
_INSTRUMENTS = {"STK": "US Stocks", "ETF.EQ.US": "US Equity ETFs"}
_LOCATION = "STK.US"
_EXCHANGES = ("NASDAQ", "NYSE", "ARCA")
_LOCATIONS = (_LOCATION, f"{_LOCATION}.MAJOR", *(f"{_LOCATION}.{e}" for e in _EXCHANGES))


@dataclass(frozen=True, slots=True)
class Scan:
    """One way to order what is listed: the highest value comes first."""

    name: str
    value: Callable[[Quote], Decimal]


def _change(quote: Quote) -> Decimal:
    return (quote.last - quote.close) / quote.close if quote.close else Decimal(0)


def _gap(quote: Quote) -> Decimal:
    return (quote.day_open - quote.close) / quote.close if quote.close else Decimal(0)


SCANS = {
    "TOP_PERC_GAIN": Scan("Top % Gainers", _change),
    "TOP_PERC_LOSE": Scan("Top % Losers", lambda quote: -_change(quote)),
    "MOST_ACTIVE": Scan("Most Active", lambda quote: quote.volume),
    "MOST_ACTIVE_USD": Scan("Most Active ($)", lambda quote: quote.volume * quote.last),
    "HIGH_OPEN_GAP": Scan("Top Close-to-Open % Gainers", _gap),
    "LOW_OPEN_GAP": Scan("Top Close-to-Open % Losers", lambda quote: -_gap(quote)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a scan asks for; a bound that is not set is None."""

    rows: int
    instrument: str
    location: str
    code: str
    above: Decimal | None
    below: Decimal | None
    above_volume: Decimal | None

    def find_fault(self) -> str:
        """Return what is wrong with the request, or nothing."""
        for name, given, known in (
            ("instrument", self.instrument, _INSTRUMENTS),
            ("location code", self.location, _LOCATIONS),
            ("scan code", self.code, SCANS),
        ):
            if given not in known:
                return f"{name} must be one of {', '.join(known)}, was {given[:40]!r}"
        return ""

    def holds(self, listing: Listing, quote: Quote) -> bool:
        is_fund = listing.stock_type == "ETF"
        exchange = self.location.removeprefix(_LOCATION).removeprefix(".")
        return all(
            (
                listing.sec_type == "STK" and listing.currency == "USD",
                is_fund or self.instrument == "STK",
                exchange in ("", "MAJOR", listing.primary_exchange),
                self.above is None or quote.last >= self.above,
                self.below is None or quote.last <= self.below,
                self.above_volume is None or quote.volume >= self.above_volume,
            )
        )


def _read_wanted(fields: Fields) -> Wanted:
    rows = fields.whole(default=_ROWS_MAX)
    instrument, location, code = fields.text(), fields.text(), fields.text()
    above, below, volume = fields.number(), fields.number(), fields.number()
    return Wanted(
        rows=rows if 0 < rows <= _ROWS_MAX else _ROWS_MAX,
        instrument=instrument,
        location=location,
        code=code,
        above=above,
        below=below,
        above_volume=volume,
    )


def req_scanner(session: Session, fields: Fields) -> None:
    """Tell what leads a list, and again every half minute until it is cancelled."""
    request_id, wanted = fields.whole(), _read_wanted(fields)
    fault = wanted.find_fault()
    if fault:
        session.error(request_id, Code.HISTORICAL, reason=fault)
        return

    async def repeat() -> None:
        while True:
            if session.gateway.upstream:
                _tell_scan(session, request_id, wanted)
            await asyncio.sleep(_SCANNED_AGAIN_EVERY_S)

    session.start_task("scanner", request_id, asyncio.create_task(repeat()))


def _tell_scan(session: Session, request_id: int, wanted: Wanted) -> None:
    gateway = session.gateway
    quoted = [(listing, gateway.market.quote(listing)) for listing in gateway.catalogue]
    value = SCANS[wanted.code].value
    found = [(value(quote), listing) for listing, quote in quoted if wanted.holds(listing, quote)]
    found.sort(key=lambda pair: (-pair[0], pair[1].symbol, pair[1].con_id))
    told = found[: wanted.rows]
    if not told:
        session.error(request_id, Code.NO_ITEMS)
        return
    rows = [f for rank, (_, listing) in enumerate(told) for f in (rank, *_row(listing))]
    session.send(Out.SCANNER_DATA, 3, request_id, len(told), *rows)


def _row(listing: Listing) -> list[Field]:
    named: list[Field] = [listing.con_id, listing.symbol, listing.sec_type, "", 0, ""]
    named += ["SMART", listing.currency, listing.local_symbol]
    return [*named, listing.trading_class, listing.trading_class, "", "", "", ""]


def cancel_scanner(session: Session, fields: Fields) -> None:
    fields.text()  # version
    request_id = fields.whole()
    if not session.stop_task("scanner", request_id):
        session.error(request_id, Code.NO_SCANNER, ticker=request_id)


def req_scanner_parameters(session: Session, _: Fields) -> None:
    """Tell in XML which instruments, locations and scans there are."""
    kinds = "".join(
        f"<Instrument><name>{name}</name><type>{kind}</type></Instrument>"
        for kind, name in _INSTRUMENTS.items()
    )
    places = "".join(
        f"<Location><displayName>{place}</displayName><locationCode>{place}</locationCode></Location>"
        for place in _LOCATIONS
    )
    scans = "".join(
        f"<ScanType><displayName>{scan.name}</displayName><scanCode>{code}</scanCode>"
        f"<instruments>{','.join(_INSTRUMENTS)}</instruments></ScanType>"
        for code, scan in SCANS.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse>'
        f"<InstrumentList>{kinds}</InstrumentList><LocationTree>{places}</LocationTree>"
        f"<ScanTypeList>{scans}</ScanTypeList></ScanParameterResponse>"
    )
    session.send(Out.SCANNER_PARAMETERS, 1, text)


_PERIOD = re.compile(r"(\d+) (second|minute|hour|day|week|month|year)s?")
_PERIOD_UNITS_S = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": DAY_S,
    "week": 7 * DAY_S,
    "month": 30 * DAY_S,
    "year": 365 * DAY_S,
}
_HISTOGRAM_S_MAX = 365 * DAY_S
_HISTOGRAM_BARS = 1_000


def req_histogram(session: Session, fields: Fields) -> None:
    """Tell how much was traded at each price over a period such as `3 days`."""
    request_id, asked = fields.whole(), read_asked(fields)
    fields.flag()  # expired contracts
    regular, period = fields.flag(), fields.text()
    found = session.gateway.find_listings(asked)
    if len(found) != 1:
        session.error(request_id, Code.NO_DEFINITION)
        return
    read = _PERIOD.fullmatch(period.strip().lower())
    length_s = int(read[1]) * _PERIOD_UNITS_S[read[2]] if read and len(read[1]) < 10 else 0
    if not 0 < length_s <= _HISTOGRAM_S_MAX:
        reason = f"Invalid time period: {period[:40]!r}"
        session.error(request_id, Code.VALIDATING, request="cD", reason=reason)
        return
    rows = _histogram(session, found[0], length_s, regular=regular)
    told = [field for row in rows for field in row]
    session.send(Out.HISTOGRAM_DATA, request_id, len(rows), *told)


def _histogram(
    session: Session, listing: Listing, length_s: int, *, regular: bool
) -> list[tuple[Decimal, Decimal]]:
    """Return price and volume: what a bar traded stands at the price at which it ended."""
    end_s = session.gateway.clock.now_s()
    days = max(1, round(length_s / DAY_S))
    start_s = start_of(listing, end_s, f"{days} D", regular=regular)
    start_s = start_s if length_s >= DAY_S else end_s - length_s
    size_s = min(3_600, max(1, (end_s - start_s) // _HISTOGRAM_BARS))
    traded = Counter[Decimal]()
    market = session.gateway.market
    for bar in history(market, listing, start_s, end_s, size_s, regular=regular):
        traded[bar.close] += int(bar.volume)
    return [(price, Decimal(size)) for price, size in sorted(traded.items())]


def cancel_histogram(_: Session, fields: Fields) -> None:
    fields.whole()


HANDLERS: dict[In, Handler] = {
    In.REQ_SCANNER: req_scanner,
    In.CANCEL_SCANNER: cancel_scanner,
    In.REQ_SCANNER_PARAMETERS: req_scanner_parameters,
    In.REQ_HISTOGRAM: req_histogram,
    In.CANCEL_HISTOGRAM: cancel_histogram,
}
