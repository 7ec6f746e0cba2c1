"""Instruments as Interactive Brokers names them: contracts, looked up once and then remembered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ib_async import IB, Contract, ContractDetails

from adapters.brokers.ib_contract_cache import ContractCache
from adapters.brokers.ib_contract_units import ContractUnits
from swarm_core.instruments import Instrument

NO_CONTRACT = 200  # the broker's number for a contract that there is not
_FX_VENUE, _CRYPTO_VENUE, _SMART = "IDEALPRO", "PAXOS", "SMART"
_TYPES = {
    "equity": "STK",
    "stock": "STK",
    "etf": "STK",
    "fund": "STK",
    "adr": "STK",
    "future": "FUT",
    "option": "OPT",
    "fx": "CASH",
    "crypto": "CRYPTO",
    "cfd": "CFD",
    "index": "IND",
}
Lookup = Callable[[Contract], Awaitable[Sequence[ContractDetails]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTerms:
    """What an instrument's id does not say; a `con_id` alone names any contract."""

    symbol: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    last_trade_date: str = ""  # YYYYMM or YYYYMMDD, of futures and options
    strike: float = 0.0
    right: str = ""  # "C" or "P"
    multiplier: str = ""
    trading_class: str = ""
    con_id: int = 0


def routed_exchange(kind: str) -> str:
    """Return where a kind of contract is routed where nothing else is said."""
    return {"CASH": _FX_VENUE, "CRYPTO": _CRYPTO_VENUE}.get(kind, _SMART)


def contract_of(instrument: Instrument, terms: ContractTerms | None = None) -> Contract:
    """Return the contract to ask for, not yet qualified.

    Raises ValueError for an asset class that the broker does not trade, or where a future or an
    option does not say when it ends.
    """
    known = terms or ContractTerms()
    kind = _TYPES.get(instrument.asset_class)
    if kind is None:
        raise ValueError(
            f"asset_class of {instrument.instrument_id} must be one of {sorted(_TYPES)}, "
            f"was {instrument.asset_class}"
        )
    if kind in ("FUT", "OPT") and not (known.last_trade_date or known.con_id):
        raise ValueError(
            f"last_trade_date of {instrument.instrument_id} must be given for a {kind}, was ''"
        )
    symbol = known.symbol or instrument.instrument_id.rsplit(".", 1)[-1].rsplit(":", 1)[-1]
    if kind in ("CASH", "CRYPTO"):
        symbol = symbol.replace("/", "").replace("-", "")
        symbol = symbol.removesuffix(instrument.currency) or symbol
    venue = routed_exchange(kind)
    if kind in ("FUT", "IND") and instrument.venue:
        venue = instrument.venue
    return Contract(
        secType=kind,
        symbol=symbol,
        currency=instrument.currency,
        exchange=known.exchange or venue,
        primaryExchange=known.primary_exchange,
        lastTradeDateOrContractMonth=known.last_trade_date,
        strike=known.strike,
        right=known.right,
        multiplier=known.multiplier,
        tradingClass=known.trading_class,
        conId=known.con_id,
    )


def asking(client: IB) -> Lookup:
    """Return a lookup that takes only the broker's "there is none" for an empty answer.

    Any other error about the question (asked too often, no way out) raises ConnectionError.
    """

    async def look_up(asked: Contract) -> Sequence[ContractDetails]:
        said = list[tuple[int, str]]()

        def note(_: int, code: int, text: str, contract: Contract | None) -> None:
            if contract is asked:
                said.append((code, text))

        client.errorEvent += note
        try:
            found = await client.reqContractDetailsAsync(asked)
        finally:
            client.errorEvent -= note
        if not found and said and said[-1][0] != NO_CONTRACT:
            code, text = said[-1]
            raise ConnectionError(f"the gateway must look {asked.symbol} up, {code}: {text}")
        return found

    return look_up


def last_day(contract: Contract) -> str | None:
    """Return the last trading day of a qualified contract (ISO date), None where it has none."""
    told = contract.lastTradeDateOrContractMonth[:8]
    return date.fromisoformat(told).isoformat() if len(told) == 8 else None


class ContractBook:
    """The contracts of some instruments, each asked for once; and the way back by contract id."""

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        terms: Mapping[str, ContractTerms] | None = None,
        cache: ContractCache | None = None,
    ) -> None:
        self._cache = cache
        self.instruments = dict(instruments)
        self._terms = dict(terms or {})
        self._contracts: dict[str, Contract] = {}
        self._ids: dict[int, str] = {}

    async def qualify(self, instrument_id: str, lookup: Lookup) -> Contract:
        """Return the one contract of an instrument.

        Raises ValueError where the broker knows none, or more than one, or where it has another
        multiplier or finer price steps than the instrument is listed with.
        """
        known = self._contracts.get(instrument_id)
        if known is not None:
            return known
        instrument = self.instruments.get(instrument_id)
        if instrument is None:
            raise ValueError(f"no contract is known for {instrument_id}")
        asked = contract_of(instrument, self._terms.get(instrument_id))
        kept = self._cache.find(asked) if self._cache is not None else None
        if kept is not None:
            contract, units = kept
            units.check(instrument)
            return self._remember(instrument_id, contract)
        question = replace(asked)  # the client may write into what it is asked
        details = await lookup(asked)
        found = [d for d in details if d.contract and d.contract.secType == asked.secType]
        if len(found) != 1:
            raise ValueError(
                f"one contract must answer to {instrument_id} ({asked.symbol} {asked.secType}), "
                f"did {len(found)}"
            )
        contract, units = found[0].contract, ContractUnits.of(found[0])
        assert contract is not None, instrument_id
        if asked.exchange == _SMART:
            contract.exchange = _SMART  # where it is listed is not where it is routed
        if self._cache is not None:
            self._cache.keep(question, contract, units)
        units.check(instrument)
        return self._remember(instrument_id, contract)

    def _remember(self, instrument_id: str, contract: Contract) -> Contract:
        self._contracts[instrument_id] = contract
        self._ids[contract.conId] = instrument_id
        return contract

    def forget(self, con_id: int) -> None:
        """Ask for a contract anew, which the broker does not know (any more) by its number."""
        for instrument_id, contract in list(self._contracts.items()):
            if contract.conId == con_id:
                del self._contracts[instrument_id]
        if self._cache is not None:
            self._cache.forget(con_id)

    def find(self, contract: Contract) -> Instrument | None:
        """Return the instrument of a contract that the broker names, or None."""
        known = self._ids.get(contract.conId)
        if known is not None:
            return self.instruments[known]
        for instrument_id, instrument in sorted(self.instruments.items()):
            if self._is(contract, instrument_id, instrument) and not self._has_other(
                instrument_id, contract.conId
            ):
                self._ids[contract.conId] = instrument_id
                return instrument
        return None

    def _has_other(self, instrument_id: str, con_id: int) -> bool:
        """Return whether an instrument's one contract is known and another than this."""
        qualified = self._contracts.get(instrument_id)
        return qualified is not None and 0 not in (qualified.conId, con_id)

    def _is(self, contract: Contract, instrument_id: str, instrument: Instrument) -> bool:
        try:
            asked = contract_of(instrument, self._terms.get(instrument_id))
        except ValueError:
            return False
        if asked.conId:
            return asked.conId == contract.conId
        same_end = contract.lastTradeDateOrContractMonth.startswith(
            asked.lastTradeDateOrContractMonth
        )
        terms = (asked.secType, asked.symbol, asked.currency, asked.strike, asked.right)
        theirs = contract.right if contract.right in ("C", "P") else ""
        return same_end and terms == (
            contract.secType,
            contract.symbol,
            contract.currency,
            contract.strike,
            theirs,
        )
