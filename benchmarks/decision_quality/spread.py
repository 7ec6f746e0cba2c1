"""The payoff marks over many fresh seeds: mean, spread and worst of the colony's share.

python -m benchmarks.decision_quality.spread [--seeds 8] [--first 700000]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.decision_quality.baselines import informed_observer, oracle
from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.scouts import net_payoff, scout_book
from benchmarks.decision_quality.synthetic import colony_on, recovery_of, settings_for

RESULTS = Path(__file__).parents[1] / "results" / "decision_quality_spread.json"
MARKETS = [
    *(
        Market(family="flip", flip_bars=flip, noise_scouts=noise)
        for noise in (16, 144)
        for flip in (500, 100)
    ),
    *(Market(family="flip_random", flip_bars=flip) for flip in (500, 100)),
    # Weak and slow: few turns, each of which the payoffs tell late.
    Market(family="flip", flip_bars=1_000, phi=0.08),
    Market(family="flip", flip_bars=200, instruments=10),
]


def shares_of(market: Market) -> tuple[float, float, float, float]:
    """Return the colony's and the informed observer's share of the regime oracle's payoff, and
    their shares of its rate from the fifth bar after recurring flips."""
    truth, settings = generate(market), settings_for(market)
    book = scout_book(truth, settings, market.cost_bps)
    best = book.earn(oracle(book.payoff, truth.regime))
    told = book.earn(informed_observer(book.payoff, truth.regime, 1.0 / market.flip_bars))
    payoff = net_payoff(colony_on(truth, settings).conviction, truth.outcome, book.cost)
    total = float(best.sum())
    return (
        float(payoff.sum()) / total,
        float(told.sum()) / total,
        recovery_of(payoff, best, truth.regime),
        recovery_of(told, best, truth.regime),
    )


def main() -> None:
    """Measure, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first", type=int, default=700_000)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for market in MARKETS:
        seeds = range(options.first, options.first + options.seeds)
        found = np.array([shares_of(replace(market, seed=seed)) for seed in seeds])
        share, told, again, told_again = found.T
        rows.append(
            {
                "market": f"{market.family} {market.flip_bars}, phi {market.phi:g}, "
                f"{market.noise_scouts} noise scouts, {market.instruments} instruments",
                "seeds": len(share),
                "mean": round(float(share.mean()), 4), "spread": round(float(share.std()), 4),
                "worst": round(float(share.min()), 4),
                "informed_observer": round(float(told.mean()), 4),
                "recovery": round(float(again.mean()), 3),
                "informed_observer_recovery": round(float(told_again.mean()), 3),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
