"""The listings, by contract id and by description."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gateway_simulator.listings import Asked, Listing

_SAMPLES_MAX = 16  # as many as the gateway gives to a search


class Catalogue:
    """Finds listings; two of them never share a contract id."""

    def __init__(self, listings: Iterable[Listing]) -> None:
        self._by_id: dict[int, Listing] = {}
        self._by_symbol: dict[str, list[Listing]] = {}
        for listing in listings:
            self.add(listing)

    def add(self, listing: Listing) -> None:
        """List something more; ValueError where its contract id is taken."""
        if listing.con_id in self._by_id:
            raise ValueError(f"con_id must be new, was {listing.con_id} of {listing.local_symbol}")
        self._by_id[listing.con_id] = listing
        for name in {listing.symbol, listing.local_symbol}:
            self._by_symbol.setdefault(name, []).append(listing)

    def find(self, asked: Asked) -> list[Listing]:
        """Return all listings that answer to a description, as seen from the exchange asked for.

        A continuous future (CONTFUT) is the contract that ends first, with its id; FUT+CONTFUT are
        all contracts and it.
        """
        if asked.sec_type in ("CONTFUT", "FUT+CONTFUT"):
            futures = self.find(replace(asked, sec_type="FUT"))
            ends = {item.symbol: item for item in sorted(futures, key=_last_day, reverse=True)}
            first = [replace(item, sec_type="CONTFUT") for item in ends.values()]
            return first if asked.sec_type == "CONTFUT" else [*futures, *first]
        if asked.con_id:
            known = self._by_id.get(asked.con_id)
            candidates = [known] if known else []
        else:
            candidates = self._by_symbol.get(asked.symbol or asked.local_symbol, [])
        return [item.routed(asked.exchange) for item in candidates if item.fits(asked)]

    def has(self, con_id: int) -> bool:
        return con_id in self._by_id

    def get(self, con_id: int) -> Listing:
        return self._by_id[con_id]

    def search(self, pattern: str) -> list[Listing]:
        """Return shares and indices whose symbol or name begins with the pattern."""
        wanted = pattern.upper()
        kinds = ("STK", "IND", "CASH", "CRYPTO")
        found = [
            item
            for item in self._by_id.values()
            if item.sec_type in kinds
            and wanted
            and (item.symbol.startswith(wanted) or item.long_name.upper().startswith(wanted))
        ]
        found.sort(key=lambda item: (item.symbol != wanted, item.symbol, item.con_id))
        return found[:_SAMPLES_MAX]

    def derivatives(self, con_id: int) -> list[Listing]:
        """Return the options on an underlying."""
        return [
            item
            for item in self._by_id.values()
            if item.under_con_id == con_id and item.sec_type == "OPT"
        ]

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._by_id.values())


def _last_day(listing: Listing) -> str:
    return listing.last_trade_date
