"""What a book holds, and in which of its lists an order stands."""

from collections import deque

from swarm_core import events as ev
from swarm_core.execution.impact import ImpactEstimate
from swarm_core.execution.realised import RealisedCost
from swarm_core.execution.working import WorkingPlan
from swarm_core.ledger import Ledger
from swarm_core.order_states import FINAL_STATES, WORKING_STATES, OrderRecord
from swarm_core.orders import ExitKind, LikeKey
from swarm_core.risk.codes import DenialCode
from swarm_core.risk.limits import RiskLimits
from swarm_core.strategies import StrategyBook
from swarm_core.trading_state import TradingState


class BookState:
    """The fields of a Book; events move them, and nothing else does."""

    def __init__(
        self, base_currency: str, starting_cash_minor: int, *, keeps_all: bool = False
    ) -> None:
        """Open a book; one that `keeps_all` also keeps in memory what the log says is retired."""
        self.keeps_all = keeps_all
        self.has_retired = False
        self.retired_order_count = self.retired_fill_count = 0
        self.ledger = Ledger(base_currency, starting_cash_minor)
        self.orders: dict[str, OrderRecord] = {}
        self.decisions: dict[str, ev.DecisionTaken] = {}
        self.intended: dict[str, list[str]] = {}  # decision -> its orders, in order
        self.planned: set[str] = set()  # decisions whose orders are all in the log
        self.blocked: dict[str, str] = {}
        self.worked: set[str] = set()  # decisions that were ever worked in slices
        self.working_plan: WorkingPlan | None = None  # what is worked now
        self.trading_state = TradingState.ACTIVE
        self.overfills_seen: set[str] = set()  # orders: when it was halted last, or lifted
        self.throttled: set[str] = set()
        self.limits: RiskLimits | None = None  # as they were changed last; None: never in this log
        self.realised = RealisedCost()  # of the fills since the colony decided last
        self.impact = ImpactEstimate()  # of orders worked in slices
        self.colony_changes: list[ev.ColonySettingsChanged] = []
        self.account_rates_ns: dict[str, int] = {}  # when the account told a currency's rate last
        self.session = ""
        self.closed_sessions: dict[str, int] = {}  # session -> NAV in minor units at its close
        self.session_nav_minor = starting_cash_minor
        self.peak_nav_minor = starting_cash_minor
        self.moved_in_minor = 0  # capital that the owner has moved in since the start
        self.sequence = 0
        self.message_times: deque[int] = deque()
        # (time_ns, client order id, what it is like) of submissions
        self.sent: deque[tuple[int, str, LikeKey]] = deque()
        self.unknown_fills: list[ev.OrderFilled] = []  # of orders that are not ours
        self.denials: dict[str, DenialCode] = {}  # by client order id
        self.denied_targets: dict[str, dict[str, DenialCode]] = {}  # by decision, instrument
        self.strategies: dict[str, StrategyBook] = {}
        self.exits: dict[str, dict[ExitKind, str]] = {}  # the newest two of each instrument
        self.exit_fills: dict[str, int] = {}  # by instrument: a position closed by itself
        self._working: set[str] = set()
        self._sent_or_ended: set[str] = set()

    @property
    def base_currency(self) -> str:
        return self.ledger.base_currency

    def file(self, order_id: str, record: OrderRecord) -> None:
        """Note whether an order works, and whether it may be sent."""
        state = record.state
        if state in WORKING_STATES:
            self._working.add(order_id)
            self._sent_or_ended.add(order_id)
            return
        self._working.discard(order_id)
        if state in FINAL_STATES:
            self._sent_or_ended.add(order_id)
        else:
            self._sent_or_ended.discard(order_id)  # lost on the way: it may be sent again

    def overfilled(self) -> set[str]:
        """Return the orders that filled more than they were for."""
        return {i for i, r in self.orders.items() if r.filled_lots > r.most_lots}

    def let_go(self, order_id: str) -> None:
        """Forget in which lists an order stood."""
        self._working.discard(order_id)
        self._sent_or_ended.discard(order_id)
