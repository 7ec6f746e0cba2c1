"""Requests about contracts: details, searches, option chains, price steps."""

from datetime import timedelta
from decimal import Decimal

from gateway_simulator.clock import ZONE_NAME
from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Listing, read_asked
from gateway_simulator.message_ids import In, Out
from gateway_simulator.session import Handler, Session
from gateway_simulator.wire import Field, Fields

_ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,GTD,IOC,LMT,LOC,MKT,MOC,OCA,OPG,STP,STPLMT,WHATIF"
_ROUND_THE_CLOCK = ("CASH", "CRYPTO", "FUT")


def req_contract_details(session: Session, fields: Fields) -> None:
    """Tell every contract that answers to the description, or error 200."""
    fields.text()  # version
    request_id, asked = fields.whole(), read_asked(fields)
    found = session.gateway.find_listings(asked)
    if not found:
        session.error(request_id, Code.NO_DEFINITION)
        return
    hours = {item.sec_type: _hours(session, item.sec_type) for item in found}
    for listing in found:
        session.send(*_details(listing, request_id, session.version, hours[listing.sec_type]))
    session.send(Out.CONTRACT_DETAILS_END, 1, request_id)


def _hours(session: Session, sec_type: str) -> str:
    """Return when it trades, today and on the five days after, as the gateway writes it."""
    days: list[str] = []
    for offset in range(6):
        day = session.gateway.today() + timedelta(days=offset)
        text = f"{day:%Y%m%d}"
        if sec_type == "CRYPTO":
            days.append(f"{text}:0000-{text}:2359")
        elif day.weekday() >= 5:
            days.append(f"{text}:CLOSED")
        elif sec_type in _ROUND_THE_CLOCK:
            days.append(f"{text}:0000-{text}:1700")
        else:
            days.append(f"{text}:0930-{text}:1600")
    return ";".join(days)


def _details(listing: Listing, request_id: int, version: int, hours: str) -> list[Field]:
    ends = listing.last_trade_date
    when = f"{ends}-16:00:00-{ZONE_NAME}" if ends else ""
    fields: list[Field] = [Out.CONTRACT_DETAILS, *([] if version >= 164 else [8]), request_id]
    fields += [listing.symbol, listing.sec_type, when, listing.strike, listing.right]
    fields += [listing.exchange, listing.currency, listing.local_symbol, listing.trading_class]
    fields += [listing.trading_class, listing.con_id, listing.min_tick]
    fields += [] if version >= 164 else [1]
    fields += [listing.multiplier, _ORDER_TYPES, ",".join(dict.fromkeys(listing.exchanges)), 1]
    fields += [listing.under_con_id, listing.long_name, listing.primary_exchange, ends[:6]]
    fields += [listing.industry, listing.category, "", ZONE_NAME, hours, hours, "", 0, 0]
    rules = ",".join(str(listing.market_rule_id) for _ in listing.exchanges)
    fields += [1, listing.under_symbol, listing.under_sec_type, rules, ends]
    fields += [listing.stock_type] if version >= 152 else []
    if version == 163:
        return [*fields, listing.size_step]
    return fields + ([listing.size_step] * 3 if version >= 164 else [])


def req_matching_symbols(session: Session, fields: Fields) -> None:
    request_id, pattern = fields.whole(), fields.text()
    found = session.gateway.catalogue.search(pattern)
    told: list[Field] = [Out.SYMBOL_SAMPLES, request_id, len(found)]
    for item in found:
        kinds = ["OPT"] if session.gateway.catalogue.derivatives(item.con_id) else []
        told += [item.con_id, item.symbol, item.sec_type, item.primary_exchange, item.currency]
        told += [len(kinds), *kinds]
        told += [item.long_name, ""] if session.version >= 176 else []
    session.send(*told)


def req_option_parameters(session: Session, fields: Fields) -> None:
    """Tell the ends and strikes of the options on a share, once for each exchange."""
    request_id, _, __, ___, con_id = (
        fields.whole(),
        fields.text(),
        fields.text(),
        fields.text(),
        fields.whole(),
    )
    chain = session.gateway.catalogue.derivatives(con_id)
    ends = sorted({item.last_trade_date for item in chain})
    strikes = sorted({item.strike for item in chain})
    for exchange in chain[0].exchanges if chain else ():
        first = chain[0]
        session.send(
            Out.OPTION_PARAMETER,
            request_id,
            exchange,
            con_id,
            first.trading_class,
            first.multiplier,
            len(ends),
            *ends,
            len(strikes),
            *strikes,
        )
    session.send(Out.OPTION_PARAMETER_END, request_id)


def req_market_rule(session: Session, fields: Fields) -> None:
    rule_id = fields.whole()
    for listing in session.gateway.catalogue:
        if listing.market_rule_id == rule_id:
            session.send(Out.MARKET_RULE, rule_id, 1, Decimal(0), listing.min_tick)
            return
    session.error(-1, Code.VALIDATING, request="ce", reason=f"Invalid market rule id {rule_id}")


def req_depth_exchanges(session: Session, _: Fields) -> None:
    rows = [(e, "STK", "", "Deep2", "1") for e in ("NASDAQ", "ARCA", "BATS", "IEX")]
    session.send(Out.MKT_DEPTH_EXCHANGES, len(rows), *(field for row in rows for field in row))


def req_smart_components(session: Session, fields: Fields) -> None:
    rows = [(0, "NASDAQ", "Q"), (1, "NYSE", "N"), (2, "ARCA", "P")]
    told = [field for row in rows for field in row]
    session.send(Out.SMART_COMPONENTS, fields.whole(), len(rows), *told)


HANDLERS: dict[In, Handler] = {
    In.REQ_CONTRACT_DETAILS: req_contract_details,
    In.REQ_MATCHING_SYMBOLS: req_matching_symbols,
    In.REQ_SEC_DEF_OPT_PARAMS: req_option_parameters,
    In.REQ_MARKET_RULE: req_market_rule,
    In.REQ_MKT_DEPTH_EXCHANGES: req_depth_exchanges,
    In.REQ_SMART_COMPONENTS: req_smart_components,
}
