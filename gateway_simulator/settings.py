"""What a simulated gateway is like: its accounts, its market, its manners."""

from dataclasses import dataclass, field
from decimal import Decimal

from gateway_simulator.handshake import SERVER_VERSION_MAX, SERVER_VERSION_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Bounded settings; `market_every_s` 0 lets the market move only when it is told to.

    `unlisted_shares` lists any unknown symbol of a US share when it is asked for.
    """

    host: str = "127.0.0.1"
    port: int = 0
    accounts: tuple[str, ...] = ("DU1234567",)
    cash: Decimal = Decimal(1_000_000)
    currency: str = "USD"
    seed: int = 0
    market_every_s: float = 0.25
    real_time_bar_s: float = 5.0
    auctions_every_s: float = 0.0  # 0: only when told to
    server_version: int = SERVER_VERSION_MAX
    messages_per_s_max: int = 50
    tickers_max: int = 100
    paces_history: bool = True
    unlisted_shares: bool = False
    matches_by_itself: bool = True
    master_client_id: int | None = None
    unsubscribed: frozenset[str] = field(default_factory=frozenset[str])  # symbols without data

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536:
            raise ValueError(f"port must be in 0..65535, was {self.port}")
        if not self.accounts or any("," in a or not a for a in self.accounts):
            raise ValueError(f"accounts must be named, were {self.accounts}")
        if self.real_time_bar_s <= 0:
            raise ValueError(f"real_time_bar_s must be > 0, was {self.real_time_bar_s}")
        if self.market_every_s < 0 or self.auctions_every_s < 0:
            raise ValueError("market_every_s and auctions_every_s must be >= 0")
        if not SERVER_VERSION_MIN <= self.server_version <= SERVER_VERSION_MAX:
            raise ValueError(
                f"server_version must be in {SERVER_VERSION_MIN}..{SERVER_VERSION_MAX}, "
                f"was {self.server_version}"
            )
        if self.cash < 0:
            raise ValueError(f"cash must be >= 0, was {self.cash}")
