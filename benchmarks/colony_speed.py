"""How fast the colony is: evaluations a second in the compiled loop, one live step's latency, and
how long a fresh process takes until its first decision.

python -m benchmarks.colony_speed
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from swarm_core.colony import codec
from swarm_core.colony.engine import new_state, step
from swarm_core.colony.observation import Observation
from swarm_core.colony.replay import Panel, run
from swarm_core.colony.sense import Genome, Sense, Shape
from swarm_core.colony.senses.registry import register
from swarm_core.colony.settings import ColonySettings

RESULTS = Path(__file__).parent / "results" / "colony_speed.json"
INSTRUMENTS, SCOUTS, COLUMNS = 500, 256, 32
_DAY_NS = 86_400 * 10**9
_LIVE_STEPS = 1_000


def speed_settings() -> ColonySettings:
    """Return a colony of 256 scouts in four senses over 32 columns."""
    names = tuple(f"column_{c:02d}" for c in range(COLUMNS))
    senses: list[str] = []
    for s in range(4):
        genomes = tuple(
            Genome(
                column=names[(s * 8 + k) % COLUMNS],
                shape=Shape(k % 3),
                gain=(-1.0) ** k * (0.5 + 0.02 * k),
            )
            for k in range(SCOUTS // 4)
        )
        sense = Sense(name=f"speed_{s}", source="made up", genomes=genomes)
        senses.append(register(sense).name)
    return ColonySettings.from_mapping({"senses": senses, "scouts_max": SCOUTS})


def make_panel(bars: int, seed: int = 1) -> Panel:
    """Return random prices and columns; sectors and currencies as a real book has them."""
    rng = np.random.default_rng(seed)
    shape = (bars, INSTRUMENTS)
    return Panel(
        time_ns=np.arange(1, bars + 1, dtype=np.int64) * _DAY_NS,
        instrument_ids=tuple(f"US.{i:04d}" for i in range(INSTRUMENTS)),
        prices=100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(shape), axis=0)),
        sigma=np.full(shape, 0.01),
        features={f"column_{c:02d}": rng.standard_normal(shape) for c in range(COLUMNS)},
        sectors=tuple(f"sector {i % 11}" for i in range(INSTRUMENTS)),
        currencies=("USD",) * INSTRUMENTS,
        cost_bps=5.0,
    )


def measure_loop(settings: ColonySettings, bars: int = 400) -> float:
    """Return scout-instrument evaluations a second of the compiled loop, trust and trails in."""
    panel = make_panel(bars)
    state = new_state(settings, panel.instrument_ids, 1)
    run(settings, state, make_panel(2))
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        run(settings, state, panel)
        best = min(best, time.perf_counter() - start)
    return bars * INSTRUMENTS * SCOUTS / best


def measure_step(settings: ColonySettings) -> dict[str, float]:
    """Return the latency of a live step in milliseconds, and the size of the state."""
    panel = make_panel(256)
    state = new_state(settings, panel.instrument_ids, 1)
    held = np.zeros(INSTRUMENTS)
    seconds: list[float] = []
    for t in range(_LIVE_STEPS):
        row = t % 256
        observation = Observation(
            time_ns=(t + 1) * _DAY_NS,
            instrument_ids=panel.instrument_ids,
            prices=panel.prices[row],
            sigma=panel.sigma[row],
            features={name: values[row] for name, values in panel.features.items()},
            market={},
            weights=held,
            nav=1e6,
            sectors=panel.sectors,
            currencies=panel.currencies,
        )
        start = time.perf_counter()
        state, decision = step(settings, state, observation)
        seconds.append(time.perf_counter() - start)
        held = decision.target_weights
    median, tail = np.percentile(np.array(seconds[50:]) * 1e3, [50, 99])
    return {
        "step_ms_median": float(median),
        "step_ms_p99": float(tail),
        "state_bytes": float(len(codec.encode(state))),
    }


_FIRST_DECISION = """
import time
begun = time.perf_counter()
from benchmarks.colony_speed import decide_once
decide_once()
print(time.perf_counter() - begun)
"""


def decide_once() -> None:
    """Take one decision of the default colony, as a process that was just started does."""
    ids = tuple(f"US.{i:04d}" for i in range(INSTRUMENTS))
    observation = Observation(
        time_ns=_DAY_NS, instrument_ids=ids, prices=np.full(INSTRUMENTS, 100.0),
        sigma=np.full(INSTRUMENTS, 0.01), features={}, market={}, weights=np.zeros(INSTRUMENTS),
        nav=1e6,
    )  # fmt: skip
    settings = ColonySettings()
    step(settings, new_state(settings, ids, 1), observation)


def measure_start(cache: str | None = None) -> float:
    """Return the seconds from import to first decision in a process of its own.

    `cache` is a folder for compiled code; where it is empty all of it is compiled first.
    """
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_DECISION], env=environment, check=True, text=True,
        capture_output=True,
    )  # fmt: skip
    return float(done.stdout)


def measure_starts() -> dict[str, float]:
    """Return the best of five starts with compiled code at hand, and the one start without."""
    with tempfile.TemporaryDirectory() as cache:
        first = measure_start(cache)
        again = min(measure_start(cache) for _ in range(5))
    return {"warm_start_s": again, "first_start_after_install_s": first}


def main() -> None:
    """Measure, print a table and write the results."""
    settings = speed_settings()
    busy = replace(settings, trust=replace(settings.trust, memory_enabled=True))
    results = {
        "instruments": float(INSTRUMENTS),
        "scouts": float(SCOUTS),
        "evaluations_per_s": measure_loop(busy),
        **measure_step(settings),
        **measure_starts(),
    }
    for name, value in results.items():
        print(f"{name:24} {value:16,.3f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
