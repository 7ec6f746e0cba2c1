"""The payoff marks over many fresh seeds: mean, spread and worst of the colony's share.

python -m benchmarks.decision_quality.spread [--seeds 8] [--first 700000]
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.decision_quality.baselines import informed_observer, oracle
from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.synthetic import colony_on, conviction_payoff, settings_for

RESULTS = Path(__file__).parents[1] / "results" / "decision_quality_spread.json"
MARKETS = [
    *(("flip", flip, noise) for noise in (16, 144) for flip in (500, 100)),
    *(("flip_random", flip, 16) for flip in (500, 100)),
]


def shares_of(market: Market) -> tuple[float, float]:
    """Return the colony's and the informed observer's share of the regime oracle's payoff."""
    truth = generate(market)
    records = colony_on(truth, settings_for(market))
    gross = records.payoff[:, :-1]
    best = float(oracle(gross, truth.regime).sum())
    told = informed_observer(gross, truth.regime, 1.0 / market.flip_bars)
    payoff = conviction_payoff(records, truth.outcome)
    return float(payoff.sum()) / best, float(told.sum()) / best


def main() -> None:
    """Measure, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--first", type=int, default=700_000)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for family, flip, noise in MARKETS:
        seeds = range(options.first, options.first + options.seeds)
        found = np.array(
            [
                shares_of(Market(family=family, flip_bars=flip, noise_scouts=noise, seed=seed))
                for seed in seeds
            ]
        )
        share, told = found[:, 0], found[:, 1]
        rows.append(
            {
                "market": f"{family} {flip}, {noise} noise scouts", "seeds": len(share),
                "mean": round(float(share.mean()), 4), "spread": round(float(share.std()), 4),
                "worst": round(float(share.min()), 4),
                "informed_observer": round(float(told.mean()), 4),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
