"""What the colony loses where there is nothing to find, over fresh seeds, costs and universes.

python -m benchmarks.decision_quality.noise [--seeds 60] [--first 810000]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.decision_quality.markets import Market, generate
from benchmarks.decision_quality.synthetic import colony_on, settings_for

RESULTS = Path(__file__).parents[1] / "results" / "decision_quality_noise.json"
LOSS_MAX = 0.01
# Cost in basis points, noise scouts beside the sixteen, instruments, share of the seeds.
UNIVERSES = [
    (0.0, 16, 40, 1.0),
    (1.0, 16, 40, 1.0),
    (5.0, 16, 40, 1.0),
    (10.0, 16, 40, 1.0),
    (0.0, 144, 40, 0.5),
    (2.0, 16, 120, 0.3),
    (1.0, 16, 10, 0.5),
]


def losses_of(market: Market, seeds: range) -> dict[str, float]:
    """Return the loss, as a fraction of capital, and the turnover a bar over the seeds."""
    loss, dip, turnover, invested = (list[float]() for _ in range(4))
    for seed in seeds:
        noise = replace(market, seed=seed)
        records = colony_on(generate(noise), settings_for(noise))
        loss.append(1.0 - float(records.nav[-1]))
        dip.append(1.0 - float(records.nav.min()))
        turnover.append(float(records.turnover.mean()))
        invested.append(float((records.share > 0.0).mean()))
    return {
        "seeds": len(seeds),
        "loss_mean": round(float(np.mean(loss)), 5),
        "loss_max": round(max(loss), 5),
        "lowest": round(max(dip), 5),
        "losing_over_mark": sum(value > LOSS_MAX for value in loss),
        "turnover_mean": round(float(np.mean(turnover)), 6),
        "turnover_max": round(max(turnover), 6),
        "bars_invested": round(float(np.mean(invested)), 4),
    }


def main() -> None:
    """Measure, print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--first", type=int, default=810_000)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for place, (cost, noise, instruments, share) in enumerate(UNIVERSES):
        market = Market(
            family="noise", phi=0.0, cost_bps=cost, noise_scouts=noise, instruments=instruments
        )
        first = options.first + 1_000 * place
        found = losses_of(market, range(first, first + max(round(share * options.seeds), 1)))
        name = f"{cost:g} bp, {noise} noise scouts, {instruments} instruments"
        rows.append({"market": name, "first_seed": first, **found})
        print(rows[-1], flush=True)
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
