"""Runs every benchmark, one process each, and says where the results are."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
_BESIDE = (
    "__init__",
    "__main__",
    "features_qlib",
    "results_table",
)  # measure nothing by themselves
NAMES = sorted(
    [p.stem for p in FOLDER.glob("*.py") if p.stem not in _BESIDE]
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
