"""Runs every benchmark, one process each, and says where the results are."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(
    [p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_")]
    + [p.parent.name for p in FOLDER.glob("*/__main__.py")]
)


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; return how many failed."""
    failed = 0
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0
    print(f"results in {FOLDER / 'results'}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
