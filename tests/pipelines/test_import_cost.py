"""What every process of Dagster imports: each run and each code server starts with it."""

import subprocess
import sys

# Libraries that cost half a second each and that only some runs need.
LATER = ("pandas", "optuna", "great_expectations", "feast", "matplotlib", "lightgbm", "sklearn")


def test_the_definitions_import_nothing_that_only_some_runs_need() -> None:
    script = (
        "import sys, pipelines.definitions\n"
        f"found = [name for name in {LATER!r} if name in sys.modules]\n"
        "assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
