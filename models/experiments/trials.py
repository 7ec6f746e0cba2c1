"""Trials: one point of an experiment over one window, and the ledger that counts them all."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from models.experiments.contracts import Contracts
from models.experiments.spec import Universe
from models.experiments.strategy import Strategy
from models.experiments.windows import Window
from models.statistics import YEAR
from swarm_core.colony.settings import ColonySettings
from swarm_core.frictions.venue import Venue
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings

LAUNCHED, FINISHED, FAILED = "launched", "finished", "failed"
PEEKED = "peeked"  # the look-ahead guard found that it knows what comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Everything that fixes one backtest: run twice, it gives the same bytes."""

    experiment: str
    point: str  # the sweep's values as text, "" where nothing is swept
    window: Window
    universe: Universe
    contracts: Contracts
    colony: ColonySettings
    venue: Venue
    limits: RiskLimits
    sizing: SizingSettings
    strategy: Strategy | None  # None: the colony
    seed: int
    nav: float
    base_currency: str
    code: str  # hash of the code that decides
    data: str  # the versions of the tables that are read

    @property
    def strategy_id(self) -> str:
        """Name what was tried, whatever the window and whatever it was called."""
        return _digest(self._fixed())

    @property
    def trial_id(self) -> str:
        """Name this backtest: the strategy and the window."""
        return _digest([*self._fixed(), _plain(asdict(self.window))])

    def _fixed(self) -> list[object]:
        # The text of a frozen dataclass names its class and every field.
        parts = (self.venue, self.sizing, self.strategy, self.contracts)
        texts = [repr(part) for part in parts]
        rest = [self.seed, self.nav, self.base_currency, self.code, self.data]
        universe = _plain(asdict(self.universe))
        return [self.colony.digest(), self.limits.digest(), *texts, universe, *rest]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one trial's scored sessions came to: enough to pool windows exactly."""

    sessions: int
    mean: float  # of the returns of one session, after costs
    mean_square: float
    digest: str  # of the result's bytes

    @property
    def sharpe(self) -> float | None:
        """The annualised ratio; None where the returns do not move."""
        return _ratio(self.sessions, self.mean, self.mean_square)


class TrialLedger(Protocol):
    """Every backtest ever launched, written down before it runs and never taken back."""

    def append(self, record: Mapping[str, object]) -> int:
        """Write the record, durably, and return its number."""
        ...

    def records(self) -> Sequence[Mapping[str, object]]:
        """Return every record in order."""
        ...


def launched(trial: Trial, run_id: str) -> dict[str, object]:
    """Return the record of a trial that is about to run."""
    return {
        "kind": LAUNCHED,
        "trial_id": trial.trial_id,
        "strategy_id": trial.strategy_id,
        "experiment": trial.experiment,
        "window": trial.window.key,
        "point": trial.point,
        "settings_digest": trial.colony.digest(),
        "code": trial.code,
        "data": trial.data,
        "run_id": run_id,
    }


def finished(trial: Trial, outcome: Outcome) -> dict[str, object]:
    """Return the record of a trial that ran to its end."""
    return {"kind": FINISHED, "trial_id": trial.trial_id, "outcome": asdict(outcome)}


def failed(trial: Trial, reason: str) -> dict[str, object]:
    """Return the record of a trial that stopped before its end."""
    return {"kind": FAILED, "trial_id": trial.trial_id, "reason": reason}


def peeked(trial: Trial, reason: str) -> dict[str, object]:
    """Return the record of a trial whose decisions change without their future."""
    return {"kind": PEEKED, "trial_id": trial.trial_id, "reason": reason}


def peeks_on_record(records: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Return what the guard found, by trial."""
    return {str(r["trial_id"]): str(r["reason"]) for r in records if r["kind"] == PEEKED}


@dataclass(frozen=True, slots=True)
class TrialCount:
    """How often was tried: what the deflated Sharpe ratio is corrected by.

    `trials` counts strategies, not windows; one whose backtest never finished counts as well.
    `sharpe_std` is the deviation of their annualised ratios, None with fewer than two.
    """

    launches: int
    trials: int
    sharpes: tuple[float, ...]

    @property
    def sharpe_std(self) -> float | None:
        return float(np.std(self.sharpes, ddof=1)) if len(self.sharpes) > 1 else None


def count_trials(
    records: Sequence[Mapping[str, object]],
    experiment: str | None = None,
    shown: Iterable[str] = (),
) -> TrialCount:
    """Count what a ledger holds, of one experiment or of all; an identical repeat counts once.

    `shown` are the ids of the trials that are judged. One that ran under another experiment's name
    was found among all that was tried there: those count as well, so that a copy of an experiment,
    or of its best point alone, does not begin to count anew.
    """
    names = {experiment}
    if experiment is not None:
        asked = set(shown)
        launches_of = (r for r in records if r["kind"] == LAUNCHED and r["trial_id"] in asked)
        names |= {str(record["experiment"]) for record in launches_of}
    launches = 0
    strategy_of: dict[str, str] = {}
    outcomes: dict[str, Outcome] = {}
    for record in records:
        trial_id = str(record["trial_id"])
        if record["kind"] == LAUNCHED and (experiment is None or record["experiment"] in names):
            launches += 1
            strategy_of[trial_id] = str(record["strategy_id"])
        elif record["kind"] == FINISHED and trial_id in strategy_of:
            outcomes[trial_id] = outcome_of(record)
    pooled: dict[str, list[Outcome]] = {}
    for trial_id, outcome in outcomes.items():
        pooled.setdefault(strategy_of[trial_id], []).append(outcome)
    ratios = [pooled_sharpe(parts) for parts in pooled.values()]
    return TrialCount(
        launches, len(set(strategy_of.values())), tuple(r for r in ratios if r is not None)
    )


def outcome_of(record: Mapping[str, object]) -> Outcome:
    """Return the outcome that a record of kind "finished" holds."""
    value = record["outcome"]
    assert isinstance(value, Mapping)
    return Outcome(**value)


def finished_trials(records: Iterable[Mapping[str, object]]) -> dict[str, Outcome]:
    """Return the newest outcome of every trial that finished."""
    return {str(r["trial_id"]): outcome_of(r) for r in records if r["kind"] == FINISHED}


def pooled_sharpe(parts: Sequence[Outcome]) -> float | None:
    """Return the annualised ratio of several windows' sessions taken together."""
    sessions = sum(p.sessions for p in parts)
    if sessions < 2:
        return None
    mean = sum(p.mean * p.sessions for p in parts) / sessions
    square = sum(p.mean_square * p.sessions for p in parts) / sessions
    return _ratio(sessions, mean, square)


def _ratio(sessions: int, mean: float, mean_square: float) -> float | None:
    variance = mean_square - mean * mean
    if sessions < 2 or not variance > 1e-24:
        return None
    return mean / float(np.sqrt(variance * sessions / (sessions - 1))) * float(np.sqrt(YEAR))


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: object) -> object:
    return json.loads(json.dumps(value, default=str))
