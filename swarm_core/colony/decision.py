"""What one step decided, with everything that is needed to say why."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class VetoCode(Enum):
    """Why a drone forbids what the rest of the colony wants."""

    DRAWDOWN = "drawdown"  # NAV below its peak by more than the limit: reduce only
    VALUE_AT_RISK = "value_at_risk"  # one-bar VaR of the target over the limit: reduce only
    EXPECTED_SHORTFALL = "expected_shortfall"
    EXPOSURE = "exposure"  # the book holds more than the gross limit: reduce only
    CONCENTRATION = "concentration"  # one name holds more of the book than its limit
    CORRELATION = "correlation"  # everything moves together: reduce only
    STALE_DATA = "stale_data"  # the instrument's data are too old: hold
    NO_PRICE = "no_price"  # the instrument has no usable price: hold
    ANOMALY = "anomaly"  # the bar looks like nothing seen before: hold
    MODEL_DRIFT = "model_drift"  # the forecast no longer pays: its sense is silenced
    UNKNOWN_POSITION = "unknown_position"  # nobody knows what is held: keep to the last target


@dataclass(frozen=True, slots=True)
class Veto:
    """One veto; instrument_id is None where it binds the whole book."""

    code: VetoCode
    instrument_id: str | None
    value: float  # what was measured
    limit: float  # what it may not pass
    reason: str


@dataclass(frozen=True, slots=True)
class ColonyEvent:
    """Something that happened in a step, in the past tense, for the event log."""

    kind: str
    subject: str
    value: float
    detail: str = ""


class StateDigest:
    """A state's sha256, computed when first asked for; the state is let go of then.

    Hashing a large state takes as long as deciding on it, and orders need not wait for it.
    """

    __slots__ = ("_source", "_text")

    def __init__(self, source: Callable[[], str]) -> None:
        self._source: Callable[[], str] | None = source
        self._text = ""

    def __str__(self) -> str:
        if self._source is not None:
            self._text, self._source = self._source(), None
        return self._text

    def __repr__(self) -> str:
        return repr(str(self))


class ScoutShares:
    """Each scout's part of the conviction [K, N], computed when first asked for and then kept.

    It is the largest table of a decision, and orders need not wait for it either.
    """

    __slots__ = ("_source", "_table")

    def __init__(self, source: Callable[[], Floats]) -> None:
        self._source: Callable[[], Floats] | None = source
        self._table: Floats | None = None

    def table(self) -> Floats:
        """Return the table [K, N]."""
        if self._table is None or self._source is not None:
            assert self._source is not None
            self._table, self._source = self._source(), None
        return self._table


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Target weights for N instruments, and where they came from.

    `sense_contributions` and `scout_contributions` each add up over their first axis to
    `conviction` (to rounding, 1e-12). All arrays stand in the observation's instrument order.
    """

    decision_id: str
    time_ns: int
    instrument_ids: tuple[str, ...]
    conviction: Floats  # [N] trust-weighted, in [-1, 1]
    target_weights: Floats  # [N] fraction of NAV after limits and vetoes
    sense_names: tuple[str, ...]
    sense_contributions: Floats  # [S, N]
    scout_names: tuple[str, ...]
    scout_shares: ScoutShares
    trust: Floats  # [K], sums to one together with the idle scout's share
    channel_names: tuple[str, ...]
    trails: Floats  # [C, N]
    regime_names: tuple[str, ...]
    regime_posterior: Floats  # [Z]
    reasons: tuple[str, ...]  # per instrument, why it is traded or why not
    vetoes: tuple[Veto, ...]
    digest_before: StateDigest
    digest_after: StateDigest
    events: tuple[ColonyEvent, ...] = field(default=())
    diagnostics: dict[str, Floats] = field(default_factory=dict[str, Floats])  # name -> [N] or [1]

    @property
    def scout_contributions(self) -> Floats:
        """Each scout's part of the conviction [K, N]."""
        return self.scout_shares.table()

    @property
    def state_digest_before(self) -> str:
        """The sha256 of the state that the decision was taken in."""
        return str(self.digest_before)

    @property
    def state_digest_after(self) -> str:
        """The sha256 of the state that the decision left."""
        return str(self.digest_after)
