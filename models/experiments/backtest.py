"""The one way to run a backtest: on the ledger first, then through the engine that trades live."""

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from features.calendars import day_of
from features.schemas import UTC_TIME
from models.experiments.account import Walked, walk
from models.experiments.fields import ExperimentError
from models.experiments.market import Market
from models.experiments.senses import UNTOLD, earned_by_senses
from models.experiments.trials import Outcome, Trial, TrialLedger, failed, finished, launched
from models.statistics import impact_per_root_nav

SCHEMA: dict[str, pl.DataType] = {
    "trial_id": pl.String(),
    "point": pl.String(),
    "window": pl.String(),
    "event_time": UTC_TIME,
    "knowledge_time": UTC_TIME,
    "net_return": pl.Float64(),  # of NAV since the close before, after costs
    "cost": pl.Float64(),  # commission and slippage of the session's fills, a fraction of NAV
    "turnover": pl.Float64(),  # value of the session's fills, a fraction of NAV
    "gross": pl.Float64(),  # held at this close
    "net": pl.Float64(),
    "benchmark_return": pl.Float64(),
    "impact": pl.Float64(),  # of the session's trades at a NAV of one; grows with its root
}
PARTS_SCHEMA: dict[str, pl.DataType] = {
    "trial_id": pl.String(),
    "point": pl.String(),
    "window": pl.String(),
    "event_time": UTC_TIME,
    "knowledge_time": UTC_TIME,
    "kind": pl.String(),  # instrument, sense or cost
    "name": pl.String(),
    "contribution": pl.Float64(),  # a fraction of NAV when the month began
}


@dataclass(frozen=True, slots=True)
class Result:
    """The scored sessions of a trial, and what instruments, senses and costs added to them."""

    rows: pl.DataFrame
    parts: pl.DataFrame
    outcome: Outcome


def run_backtest(trial: Trial, market: Market, ledger: TrialLedger, run_id: str) -> Result:
    """Write the trial down, run it from its warm-up to its end, and write down what came of it.

    `market` holds at least the trial's window. Raises ExperimentError where the window has fewer
    than three scored sessions; a trial that fails stays on the ledger and counts.
    """
    ledger.append(launched(trial, run_id))
    try:
        result = compute(trial, market)
    except Exception as error:
        ledger.append(failed(trial, f"{type(error).__name__}: {error}"))
        raise
    ledger.append(finished(trial, result.outcome))
    return result


def compute(trial: Trial, market: Market) -> Result:
    """Run a trial that is on the ledger already; anything else calls run_backtest."""
    seen = seen_by(trial, market)
    return result_of(trial, seen, walk(trial, seen))


def seen_by(trial: Trial, market: Market) -> Market:
    """Return the market of a trial's window and warm-up; ExperimentError on too few sessions."""
    window = trial.window
    seen = market.between(window.warmup_start, window.end)
    scored = len(seen.closes) - _first_scored(trial, seen)
    if scored < 3:
        raise ExperimentError(
            f"window {window.key} must have at least 3 scored sessions, had {scored}"
        )
    return seen


def _first_scored(trial: Trial, seen: Market) -> int:
    return sum(day_of(c) < trial.window.start for c in seen.closes)


def result_of(trial: Trial, seen: Market, walked: Walked) -> Result:
    """Return the result of a trial that was walked over the market that it sees."""
    first = _first_scored(trial, seen)
    rows = _rows(trial, seen, walked, first)
    parts = _parts(trial, seen, walked, first)
    returns = rows["net_return"].to_numpy()
    digest = hashlib.sha256()
    for values in (returns, walked.targets, walked.turnover):
        digest.update(np.ascontiguousarray(values).tobytes())
    outcome = Outcome(
        sessions=int(returns.size),
        mean=float(returns.mean()),
        mean_square=float((returns**2).mean()),
        digest=digest.hexdigest(),
    )
    return Result(rows, parts, outcome)


def _changes(levels: np.ndarray) -> np.ndarray:
    """Return levels[t] / levels[t - 1] - 1, 0 at the first and where a side is unknown."""
    out = np.zeros_like(levels)
    with np.errstate(all="ignore"):
        out[1:] = levels[1:] / levels[:-1] - 1.0
    return np.where(np.isfinite(out), out, 0.0)


def _returns(nav: np.ndarray) -> np.ndarray:
    """Return each session's return; all is lost where nothing is left, and nothing comes after it.

    Below zero a loss would count as a gain: -50 that become -100 have doubled.
    """
    out = np.maximum(_changes(nav), -1.0)
    out[1:][np.maximum.accumulate(nav <= 0.0)[:-1]] = 0.0
    return out


def _rows(trial: Trial, seen: Market, walked: Walked, first: int) -> pl.DataFrame:
    held, turnover = walked.held, walked.turnover
    return pl.DataFrame(
        {
            **_head(trial, seen, first),
            "net_return": _returns(walked.nav)[first:],
            "cost": np.sum(list(walked.costs.values()), axis=0)[first:],
            "turnover": turnover.sum(axis=1)[first:],
            "gross": np.abs(held).sum(axis=1)[first:],
            "net": held.sum(axis=1)[first:],
            "benchmark_return": _changes(seen.benchmark)[first:],
            "impact": _impact(seen, turnover)[first:],
        },
        schema=SCHEMA,
    )


def _impact(seen: Market, traded: np.ndarray) -> np.ndarray:
    """Return each session's impact, NaN where the table of features knows no volumes."""
    known = seen.panel.features.get("dollar_volume_21d")
    if known is None:
        return np.full(len(seen.closes), np.nan)
    return impact_per_root_nav(traded, np.exp(known))


def _head(trial: Trial, seen: Market, first: int) -> dict[str, object]:
    count = len(seen.closes) - first
    known = seen.panel.time_ns[first:]
    return {
        "trial_id": [trial.trial_id] * count,
        "point": [trial.point] * count,
        "window": [trial.window.key] * count,
        "event_time": list(seen.closes[first:]),
        "knowledge_time": pl.Series(known).cast(pl.Datetime("ns", "UTC")).cast(UTC_TIME),
    }


def _senses(walked: Walked) -> list[tuple[str, np.ndarray]]:
    if walked.colony is None:
        return []
    state, records = walked.colony
    said, targets = records.sense_conviction, walked.targets
    earned = earned_by_senses(said, targets, walked.contribution)
    told = [(name, earned[:, s]) for s, name in enumerate((*state.sense_names, UNTOLD))]
    return [(name, values) for name, values in told if name != UNTOLD or values.any()]


def _parts(trial: Trial, seen: Market, walked: Walked, first: int) -> pl.DataFrame:
    """Return what each instrument, each sense and the costs added, by month of the window.

    All are fractions of NAV when the month began. Instruments: what the lots held and traded earned
    before costs. Costs by kind; of a foreign currency what its rate did. These three are the
    month's return, to the minor unit. Senses: the instruments' earnings once more, shared out to
    the senses (models.experiments.senses), so that they stand in the instruments' place.
    """
    told: list[tuple[str, str, np.ndarray]] = [
        ("instrument", name, walked.contribution[:, i])
        for i, name in enumerate(seen.panel.instrument_ids)
    ]
    told += [("sense", *found) for found in _senses(walked)]
    told += [("cost", name, -values) for name, values in walked.costs.items() if values.any()]
    told += [("currency", name, values) for name, values in walked.currencies.items()]
    kinds, names = [kind for kind, _, _ in told], [name for _, name, _ in told]
    before = np.concatenate(([trial.nav], walked.nav[:-1]))[first:]  # what the columns are of
    columns = np.column_stack([values for _, _, values in told])[first:] * before[:, None]
    closes = seen.closes[first:]
    months: dict[tuple[int, int], list[int]] = {}
    for t, close in enumerate(closes):
        months.setdefault((close.year, close.month), []).append(t)
    frames = [
        pl.DataFrame(
            {
                "trial_id": trial.trial_id,
                "point": trial.point,
                "window": trial.window.key,
                "event_time": closes[part[0]],
                "knowledge_time": closes[part[-1]],
                "kind": kinds,
                "name": names,
                "contribution": columns[part].sum(axis=0) / before[part[0]],
            },
            schema=PARTS_SCHEMA,
        )
        for part in months.values()
    ]
    return pl.concat(frames)
