"""The marks that the colony must reach, beside what was measured."""

from collections.abc import Sequence
from typing import Any

from benchmarks.decision_quality.synthetic import FLIPPING, Result

_SHARES = {(500, 16): 0.98, (100, 16): 0.92, (500, 144): 0.97, (100, 144): 0.88}

_RATE = 0.5  # of the oracle's, from the fifth bar after a recurring flip


def check_marks(rows: Sequence[Result]) -> list[dict[str, Any]]:
    """Return one row for each mark: its name, the bound, the measured value, and whether met."""
    colony = [row for row in rows if row.who == "colony"]
    marks: list[dict[str, Any]] = []
    for (flip, noise), bound in _SHARES.items():
        for row in colony:
            wanted = f"flip flip={flip} phi=0.15 noise={noise} cost=0bp"
            if row.market.startswith(wanted):
                marks.append(_mark(f"share, {row.market}", bound, row.share, at_least=True))
    for row in colony:
        fixed = [r for r in rows if r.market == row.market and r.who == "fixed-share"]
        if fixed and row.share == row.share:
            lead = row.share - fixed[0].share
            marks.append(_mark(f"lead over fixed-share, {row.market}", -0.01, lead, at_least=True))
        if row.recovery == row.recovery and row.family in (*FLIPPING, "new_regime"):
            name = f"payoff rate from the 5th bar after a recurring flip, {row.market}"
            told = [r for r in rows if r.market == row.market and r.who.startswith("informed")]
            marks.append(_mark(name, _RATE, row.recovery, at_least=True))
            # Who knows both best scouts and only looks for the turn: what payoffs can tell by then.
            observer = float(told[0].recovery) if told else None
            marks[-1]["informed_observer"] = observer
            # Half of the rate by then is more than payoffs tell: only a foretold turn gives it.
            marks[-1]["beyond_payoffs"] = observer is not None and observer < _RATE
        if row.family == "noise":
            marks.append(_mark(f"loss on {row.market}", 0.01, 1.0 - row.nav, at_least=False))
            turnover = row.turnover
            marks.append(_mark(f"turnover a bar on {row.market}", 0.005, turnover, at_least=False))
    return marks


def _mark(name: str, bound: float, measured: float, *, at_least: bool) -> dict[str, Any]:
    met = measured >= bound if at_least else measured <= bound
    return {"mark": name, "bound": bound, "measured": float(measured), "met": bool(met)}
