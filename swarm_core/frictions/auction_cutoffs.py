"""Until when an exchange takes orders for its auctions."""

from collections.abc import Mapping
from dataclasses import dataclass

from swarm_core.instruments import Instrument

_NS_PER_S = 10**9
_SECONDS_MAX = 86_400

# Seconds before the auction at which its book closes to new orders, (opening, closing), by the
# venue's market identifier (ISO 10383). Half days close earlier, and their cut-offs with them.
CUTOFFS: Mapping[str, tuple[int, int]] = {
    # Until the stock is opened; market- and limit-on-close until 15:50.
    # Source: the exchange's "Opening and Closing Auctions" (2019) and SR-NYSE-2018-58.
    "XNYS": (0, 600),
    # Market-on-open before 9:28, market-on-close before 15:55. The late limit orders that it takes
    # until 9:29:30 and 15:58, at prices that it may change, count as late here.
    # Nasdaq, "Opening and Closing Crosses"; Rule 4702(b)(8) to (12).
    "XNAS": (120, 300),
    # Freezes five seconds before the opening and a minute before the close. NYSE Arca Rule 7.35-E.
    "ARCX": (5, 60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionCutoffs:
    """An order on open or on close that comes after the auction's cut-off is not in it.

    `by_exchange`: the cut-off is that of the instrument's venue in CUTOFFS; of a venue that is not
    there, and without it, `open_s` and `close_s` seconds before the auction. 0 takes orders up
    to the auction itself. `late_expires`: a late order ends unfilled at the auction that it missed,
    as one does that the exchange refuses; else it waits for the next session's.
    """

    by_exchange: bool = False
    open_s: int = 0
    close_s: int = 0
    late_expires: bool = False

    def __post_init__(self) -> None:
        for name in ("open_s", "close_s"):
            value = getattr(self, name)
            if not 0 <= value <= _SECONDS_MAX:
                raise ValueError(
                    f"{name} of auction_cutoffs must be in 0..{_SECONDS_MAX}, was {value}"
                )

    def of(self, instrument: Instrument) -> tuple[int, int]:
        """Return how many ns before its opening and its closing auction orders must have come."""
        own = self.open_s, self.close_s
        found = CUTOFFS.get(instrument.venue, own) if self.by_exchange else own
        return found[0] * _NS_PER_S, found[1] * _NS_PER_S


NO_CUTOFFS = AuctionCutoffs()
