"""Runs the engine and its peers in turns on the same tasks, and writes the ratios.

    python -m benchmarks.backtest_engine [--rounds 5] [--nautilus-bars 100000] [--seed 42]
    python -m benchmarks.backtest_engine --sweep-alone

Peers run in environments of their own under .peers/ (vectorbt, nautilus, btpy); one that is not
there is left out, and the two processes of a sweep need none. Every ratio is the median over
rounds in which both ran one after the other.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapters.workers.processes import ProcessPool
from benchmarks.backtest_engine import ours
from benchmarks.backtest_engine import tasks as t
from swarm_core.backtest.pooled_sweep import PooledSweep

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "backtest_engine.json"
SHORT_ROUNDS = 15  # of a tenth of a second each: one that another process disturbed is outvoted
Told = dict[str, Any]


class Peer:
    """A peer in its own interpreter, which runs a task when it is asked to."""

    def __init__(self, environment: str, script: str) -> None:
        self._process = subprocess.Popen(
            [ROOT / ".peers" / environment / "bin" / "python", f"{script}.py"],
            cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    @classmethod
    def find(cls, environment: str, script: str) -> "Peer | None":
        python = ROOT / ".peers" / environment / "bin" / "python"
        return cls(environment, script) if python.exists() else None

    def run(self, task: str, **numbers: int) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, **numbers}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def timed(run: Callable[[], Told]) -> Told:
    began = time.perf_counter()
    told = run()
    return {"seconds": time.perf_counter() - began, **told}


def in_turns(
    rounds: int, count: int, mine: Callable[[], Told], peer: Callable[[], Told]
) -> Told:  # fmt: skip
    """Run both in turns, once uncounted; return rates a second, the ratio and what both found."""
    mine()
    peer()
    pairs = [(timed(mine), peer()) for _ in range(rounds)]
    ratios = sorted(other["seconds"] / own["seconds"] for own, other in pairs)
    own, other = pairs[-1]
    return {
        "ours_a_second": round(count / statistics.median(o["seconds"] for o, _ in pairs)),
        "peer_a_second": round(count / statistics.median(p["seconds"] for _, p in pairs)),
        "ratio": round(statistics.median(ratios), 1),
        "ratios": [round(r, 1) for r in ratios],
        "ours": {k: v for k, v in own.items() if k != "seconds"},
        "peer": {k: v for k, v in other.items() if k != "seconds"},
    }


def against_vectorbt(rounds: int, seed: int) -> Told:
    peer = Peer.find("vectorbt", "peer_vectorbt")
    if peer is None:
        return {}
    small, large = ours.settings(t.CASH), ours.settings(10 * t.CASH)
    began = time.perf_counter()
    one = ours.bars_of(t.minutes(seed=seed))
    found: Told = {"load_s_of_t1_bars": round(time.perf_counter() - began, 3)}
    found["T1 vectorbt"] = in_turns(
        rounds, t.T1_BARS, lambda: ours.run(one, small),
        lambda: peer.run("T1", bars=t.T1_BARS, seed=seed),
    )  # fmt: skip
    many = ours.bars_of(t.days(seed=seed + 958))
    found["T2 vectorbt"] = in_turns(
        rounds, t.T2_INSTRUMENTS * t.T2_DAYS, lambda: ours.run(many, large),
        lambda: peer.run("T2", instruments=t.T2_INSTRUMENTS, seed=seed + 958),
    )  # fmt: skip
    few, points = ours.bars_of(t.minutes(t.SWEEP_BARS, seed)), ours.points()

    def swept() -> Told:
        result = ours.sweep_all(few, points)
        best = result.best()
        return {"equity": int(result.nav_minor[best]) / 1e8, "best": list(t.pairs()[best])}

    found["sweep vectorbt"] = in_turns(
        rounds, len(points), swept, lambda: peer.run("sweep", seed=seed)
    )
    peer.close()
    return found


def two_processes(rounds: int, seed: int) -> Told:
    """Sweep in one worker process and in two, kept from run to run as a sweep keeps them."""
    bars, points = ours.bars_of(t.minutes(t.SWEEP_BARS, seed)), ours.points()
    with ProcessPool(1) as one, ProcessPool(2) as two:
        sweeps = ours.pooled(bars, one), ours.pooled(bars, two)

        def swept(sweep: PooledSweep) -> Told:
            return {"equity": int(sweep.run(points).nav_minor.max()) / 1e8}

        found = in_turns(
            rounds, len(points), lambda: swept(sweeps[1]), lambda: timed(lambda: swept(sweeps[0]))
        )
    return {"sweep of 2 processes against 1": found | {"load": os.getloadavg()}}


def against_event_engines(bars: int, seed: int) -> Told:
    """Run the slow peers once each, uncounted runs left out: they take half a minute."""
    found: Told = {}
    small, large = ours.settings(t.CASH), ours.settings(10 * t.CASH)
    nautilus = Peer.find("nautilus", "peer_nautilus")
    if nautilus is not None:
        few = ours.bars_of(t.minutes(bars, seed))
        nautilus.run("T1", bars=5_000, seed=seed)
        ours.run(few, small)
        found[f"T1 NautilusTrader, {bars:,} bars"] = _once(
            bars, lambda: ours.run(few, small), nautilus.run("T1", bars=bars, seed=seed)
        )
        nautilus.close()
    backtesting = Peer.find("btpy", "peer_backtesting")
    if backtesting is not None:
        many = ours.bars_of(t.days(seed=seed + 958))
        backtesting.run("T2", instruments=5, seed=seed + 958)
        ours.run(many, large)
        found["T2 backtesting.py"] = _once(
            t.T2_INSTRUMENTS * t.T2_DAYS, lambda: ours.run(many, large),
            backtesting.run("T2", instruments=t.T2_INSTRUMENTS, seed=seed + 958),
        )  # fmt: skip
        backtesting.close()
    return found


def _once(count: int, mine: Callable[[], Told], other: Told) -> Told:
    runs = [timed(mine) for _ in range(5)]
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "ours_a_second": round(count / seconds),
        "peer_a_second": round(count / other["seconds"]),
        "ratio": round(other["seconds"] / seconds, 1),
        "ours": {k: v for k, v in runs[-1].items() if k != "seconds"},
        "peer": {k: v for k, v in other.items() if k != "seconds"},
    }


def memory_mark() -> Told:
    """Walk 20 million bars part by part in a process of its own; return its peak memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.backtest_engine.memory"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nautilus-bars", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--sweep-alone", action="store_true", help="two processes, no peer")
    given = parser.parse_args()
    found: Told = {"seed": given.seed, "rounds": given.rounds}
    found |= two_processes(max(given.rounds, SHORT_ROUNDS), given.seed)
    if given.sweep_alone:
        print(json.dumps(found, indent=2))
        return
    found |= against_vectorbt(given.rounds, given.seed)
    found |= against_event_engines(given.nautilus_bars, given.seed)
    found["memory of 20,000,000 bars"] = memory_mark()
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
