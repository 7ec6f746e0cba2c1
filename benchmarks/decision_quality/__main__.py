"""The one command of the proof.

python -m benchmarks.decision_quality [--seed N] [--out FOLDER] [--no-ablations|--all-ablations]
python -m benchmarks.decision_quality --flip 333 --phi 0.12 --noise 50 --cost-bps 2 --seed 9
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.decision_quality.markets import FAMILIES, Market, default_markets, is_ablated
from benchmarks.decision_quality.marks import check_marks
from benchmarks.decision_quality.real import PRICES, RealResult, compare_real
from benchmarks.decision_quality.report import last_real, write_report
from benchmarks.decision_quality.synthetic import Result, compare

RESULTS = Path(__file__).parents[1] / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, print the tables and write the report."""
    options = _parse(arguments)
    if options.flip:
        markets = [
            Market(
                family=options.family, flip_bars=options.flip, phi=options.phi, seed=options.seed,
                noise_scouts=options.noise, cost_bps=options.cost_bps, bars=options.bars,
                instruments=options.instruments,
            )
        ]  # fmt: skip
    else:
        markets = default_markets(options.seed, quick=options.quick)
    synthetic: list[Result] = []
    for market in markets:
        wanted = options.all_ablations or options.flip or is_ablated(market)
        rows = compare(
            market, ablations=bool(wanted) and not (options.quick or options.no_ablations)
        )
        synthetic += rows
        _print_market(market, rows)
    marks = check_marks(synthetic)
    real: Sequence[RealResult] = []
    notes = [
        f"Seed {options.seed}. Shares are of the payoff of an oracle that knows the regime.",
        "Intervals are 95 % by stationary block bootstrap.",
    ]
    if options.no_real or not PRICES.is_file():
        real = last_real(options.out)
        told = "is of the last run that had them" if real else "is empty"
        notes.append(
            f"Real prices: not asked for, or {PRICES.name} is absent, so their table {told}."
        )
    else:
        trials = _trials(options.out)
        real = compare_real(trials)
        count = trials + len(real)
        notes.append(
            f"Real prices: Sharpe ratios are deflated with {count} trials, all that were ever run "
            "into this folder. The names were chosen by the first year's dollar volume among those "
            "in the index at the end: levels are flattered by survivorship."
        )
        _remember_trials(options.out, count)
        _print_real(real)
    for mark in marks:
        told = mark.get("informed_observer")
        beside = "" if told is None else f" (informed observer {told:.2f})"
        print(
            f"{'met ' if mark['met'] else 'MISSED'} {mark['mark']}: {mark['measured']:.4f}{beside}"
        )
    paths = write_report(options.out, marks=marks, synthetic=synthetic, real=real, notes=notes)
    print(*(f"wrote {path}" for path in paths), sep="\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="decision_quality", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three markets, no ablations")
    parser.add_argument("--no-ablations", action="store_true", help="all markets, colony alone")
    parser.add_argument("--all-ablations", action="store_true", help="on every market")
    parser.add_argument("--no-real", action="store_true", help="keep the last real table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--flip", type=int, default=0, help="one market, of this period")
    parser.add_argument("--family", choices=FAMILIES, default="flip", help="of the one market")
    parser.add_argument("--phi", type=float, default=0.15)
    parser.add_argument("--noise", type=int, default=16, help="noise scouts")
    parser.add_argument("--cost-bps", type=float, default=0.0)
    parser.add_argument("--bars", type=int, default=6_000)
    parser.add_argument("--instruments", type=int, default=40)
    return parser.parse_args(arguments)


def _trials(folder: Path) -> int:
    ledger = folder / "decision_quality_trials.json"
    return int(json.loads(ledger.read_text())["trials"]) if ledger.is_file() else 0


def _remember_trials(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ledger = folder / "decision_quality_trials.json"
    ledger.write_text(json.dumps({"trials": count}) + "\n")


def _print_market(market: Market, rows: Sequence[Result]) -> None:
    print(f"\n{market.name}\n{'':30} share  [95 %]          recovery      NAV   turnover  Sharpe")
    for row in rows:
        print(
            f"{row.who:30} {row.share:6.3f} [{row.share_low:6.3f},{row.share_high:6.3f}] "
            f"{row.recovery:8.2f} {row.nav:10.4f} {row.turnover:9.5f} {row.sharpe:7.2f}",
            flush=True,
        )


def _print_real(rows: Sequence[RealResult]) -> None:
    table: list[dict[str, Any]] = [asdict(row) for row in rows]
    names = [name for name in table[0] if name != "who"]
    print("\nReal prices\n" + " " * 30 + " ".join(f"{name:>13}" for name in names))
    for row in table:
        print(f"{row['who']:30}" + " ".join(f"{row[name]:13.3f}" for name in names))


if __name__ == "__main__":
    main()
