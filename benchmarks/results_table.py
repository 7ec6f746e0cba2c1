"""README's table of what was measured, made of the kept results so that it tells nothing else."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_Line = tuple[str, str, str]


def results_table(folder: Path = RESULTS) -> str:
    """Return one line a task: what it is, how it went, and what stands beside it."""
    lines: list[_Line] = [("what", "here", "beside it in the same run"), ("---", "---", "---")]
    for part in (_research, _backtests, _colony, _order_path):
        lines += part(folder)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_results_table(document: str, folder: Path = RESULTS) -> str:
    """Return the document with the table between its two marks renewed."""
    if _BEGIN not in document or _END not in document:
        raise ValueError(f"the document must hold {_BEGIN} and {_END}")
    before, rest = document.split(_BEGIN, 1)
    after = rest.split(_END, 1)[1]
    return f"{before}{_BEGIN}\n{results_table(folder)}\n{_END}{after}"


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _times(factor: float) -> str:
    """Return a factor as it is said: two figures below ten, whole numbers above."""
    return f"{factor:.1f} x" if factor < 10 else f"{factor:,.0f} x"


def _research(folder: Path) -> Iterator[_Line]:
    features = _read(folder, "features")
    slower = features["times_faster_than"]
    peers = {
        "qlib_no_cache": "Qlib without its caches",
        "qlib_both_caches": "with both",
        "polars": "bare polars",
    }
    yield (
        "14 rolling features of 800 stocks, 38 M values, one core",
        f"{features['best_s']['kernels']:.2f} s",
        ", ".join(f"{name} {_times(slower[key])}" for key, name in peers.items() if key in slower)
        + " that time",
    )
    joined = _read(folder, "point_in_time")
    yield (
        f"training set of {joined['rows']:,} rows x {joined['features']} features, point in time",
        f"{joined['ours_to_arrow_s']:.2f} s",
        f"a bare polars as-of join {_times(1 / joined['ours_to_arrow_over_bare'])} that time, "
        f"Feast's own store {_times(joined['feast_default_over_ours_few_rows'])} "
        f"on {joined['few_rows']:,} rows",
    )
    online = _read(folder, "online_features")
    yield (
        "500 x 30 features for a decision, median",
        f"{online['embedded, values']['median_ms']:.2f} ms embedded, "
        f"{online['redis, values']['median_ms']:.2f} ms over Redis",
        f"Feast's own call {online['feast, own sqlite store, 1 view']['median_ms']:.0f} ms",
    )
    checked = _read(folder, "validation")
    yield (
        f"validation of {checked['rows']:,} bars by every rule",
        f"{checked['rules_wall_s']:.1f} s",
        f"one bare pass over them {checked['bare_wall_s']:.2f} s",
    )


def _backtests(folder: Path) -> Iterator[_Line]:
    told = _read(folder, "backtest_engine")
    for task, what in (
        ("T1", "bars a second of 1,000,000 minutes, every order gated and booked"),
        ("T2", "the same on 500 instruments x 2,520 days"),
        ("sweep", "backtests a second of 10,000 bars, in a sweep"),
    ):
        found = {
            name.removeprefix(f"{task} ").replace(",", " on", 1): row
            for name, row in told.items()
            if name.startswith(f"{task} ") and not name.startswith("sweep of")
        }
        if found:
            ours = next(iter(found.values()))["ours_a_second"]
            beside = ", ".join(f"{_times(row['ratio'])} {name}" for name, row in found.items())
            yield what, f"{ours / 1e6:.0f} M" if ours > 1e6 else f"{ours:,}", beside


def _colony(folder: Path) -> Iterator[_Line]:
    told = _read(folder, "colony_speed")
    size = f"{told['instruments']:.0f} instruments x {told['scouts']:.0f} scouts"
    yield (
        f"a live step of the colony, {size}",
        f"{told['step_ms_median']:.2f} ms, p99 {told['step_ms_p99']:.2f} ms",
        f"{told['evaluations_per_s'] / 1e6:.0f} M evaluations a second, trails and trust included",
    )


def _order_path(folder: Path) -> Iterator[_Line]:
    told = _read(folder, "order_path")
    yield (
        "from decision to wire, without the disk's own sync",
        f"{told['to_wire_unsynced_p50_ms']:.2f} ms, p99 {told['to_wire_unsynced_p99_ms']:.2f} ms",
        f"{told['to_wire_synced_p50_ms']:.2f} ms with it",
    )
    yield (
        "durable events a second, one by one and in hundreds",
        f"{told['append_batch_1_per_s']:,.0f} and {told['append_batch_100_per_s']:,.0f}",
        f"bare SQLite {told['append_batch_1_bare_per_s']:,.0f} "
        f"and {told['append_batch_100_bare_per_s']:,.0f}, with no hash and nothing encoded",
    )
    yield (
        "events a second replayed into a book",
        f"{told['fold_per_s']:,.0f}",
        f"{told['read_per_s']:,.0f} read with every hash compared",
    )


def main(paths: list[str]) -> None:
    """Renew the table in each document."""
    for path in map(Path, paths):
        path.write_text(with_results_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
