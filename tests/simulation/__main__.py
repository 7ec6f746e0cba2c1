"""`python -m tests.simulation --sessions 10000 --from-seed 0`: play many sessions and count."""

import argparse
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time

from tests.simulation.faults import CHANGE_KINDS, KINDS, NIGHT_KINDS, OWNER_KINDS
from tests.simulation.verdict import judge
from tests.simulation.world import play


def commit() -> str:
    """Return the commit of the code, with a plus where files were changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--from-seed", type=int, default=0)
    asked = parser.parse_args()
    counts, happened, lives, failed = Counter[str](), Counter[str](), 0, list[int]()
    started, started_cpu = perf_counter(), process_time()
    for seed in range(asked.from_seed, asked.from_seed + asked.sessions):
        try:
            world = play(seed)
            verdict = judge(world)
        except AssertionError as error:
            failed.append(seed)
            print(f"seed {seed} at {commit()}: {error}", flush=True)
            continue
        if verdict.duplicate_orders or verdict.lost_fills or verdict.unbooked_differences:
            failed.append(seed)
            print(f"seed {seed} at {commit()}: {verdict}", flush=True)
        counts.update(asdict(verdict))
        happened.update(world.faults.happened)
        lives += world.lives
    seconds, cpu = perf_counter() - started, process_time() - started_cpu
    print(f"{asked.sessions} sessions from seed {asked.from_seed} at {commit()}, {lives} lives")
    print(", ".join(f"{name} {count}" for name, count in counts.items()))
    print(
        ", ".join(
            f"{kind} {happened[kind]}"
            for kind in (*KINDS, *NIGHT_KINDS, *CHANGE_KINDS, *OWNER_KINDS)
        )
    )
    per_hour = asked.sessions / cpu * 3_600
    print(f"{seconds:.0f} s, {cpu:.0f} s of one core: {per_hour:,.0f} sessions an hour on a core")
    print(f"{len(failed)} failed{': ' if failed else ''}{', '.join(map(str, failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
