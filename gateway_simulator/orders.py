"""An order at the simulated broker: what it asks for, and how far it has come."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum

from gateway_simulator.listings import Listing
from gateway_simulator.order_request import OrderRequest


class Status(Enum):
    """The words of the gateway for where an order stands."""

    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"

    @property
    def is_final(self) -> bool:
        return self in (Status.CANCELLED, Status.FILLED, Status.INACTIVE)


@dataclass(eq=False)
class LiveOrder:
    """One order, equal to itself alone; `order_id` is 0 where a person placed it by hand."""

    request: OrderRequest
    listing: Listing
    client_id: int
    order_id: int
    perm_id: int
    account: str
    status: Status = Status.PENDING_SUBMIT
    filled: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)  # sum of price times quantity of its fills
    last_price: Decimal = Decimal(0)
    triggered: bool = False  # whether a stop has become an order
    held: str = ""  # why it waits
    ended_ns: int = 0
    reason: str = ""
    run: int = 0  # which run of the gateway gave the order its id
    children: list["LiveOrder"] = field(default_factory=list["LiveOrder"])

    @property
    def side(self) -> int:
        return 1 if self.request.text("action").upper() == "BUY" else -1

    @property
    def quantity(self) -> Decimal:
        return self.request.number("totalQuantity") or Decimal(0)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def kind(self) -> str:
        return self.request.text("orderType").upper()

    @property
    def tif(self) -> str:
        return self.request.text("tif").upper() or "DAY"

    @property
    def limit(self) -> Decimal | None:
        """Return its limit price, or None where any price will do."""
        return self.request.number("lmtPrice") if self.kind in LIMITED else None

    @property
    def stop(self) -> Decimal | None:
        return self.request.number("auxPrice") if self.kind in STOPPED else None

    @property
    def average_price(self) -> Decimal:
        return self.paid / self.filled if self.filled else Decimal(0)

    @property
    def ref(self) -> str:
        return self.request.text("orderRef")

    @property
    def parent_id(self) -> int:
        return self.request.whole("parentId")

    @property
    def auction(self) -> str:
        """Return the auction that it waits for: "open", "close", or none."""
        if self.tif == "OPG":
            return "open"
        return "close" if self.kind in ("MOC", "LOC") else ""

    @property
    def key(self) -> tuple[int, int]:
        return self.client_id, self.order_id

    def change(self, request: OrderRequest) -> None:
        """Take over what a modification asks for; its id and contract stay."""
        self.request = replace(request, order_id=self.order_id)
        self.triggered = False


LIMITED = frozenset({"LMT", "STP LMT", "LOC"})
STOPPED = frozenset({"STP", "STP LMT"})
KINDS = frozenset({"MKT", "LMT", "STP", "STP LMT", "MOC", "LOC"})
TIMES = frozenset({"DAY", "GTC", "IOC", "OPG", "FOK", "GTD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill as it is told, and told again when it is asked for."""

    exec_id: str
    order: LiveOrder
    listing: Listing
    time_ns: int
    quantity: Decimal
    price: Decimal
    side: str  # BOT or SLD
    cumulative: Decimal
    average_price: Decimal
    order_id: int
    client_id: int
    exchange: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What an execution cost; `realized` is the profit it took, None where it opened."""

    exec_id: str
    amount: Decimal
    currency: str
    realized: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What an order would do to an account; all in its base currency."""

    initial_before: Decimal
    maintenance_before: Decimal
    equity_before: Decimal
    initial_after: Decimal
    maintenance_after: Decimal
    equity_after: Decimal
    commission: Decimal
    currency: str
