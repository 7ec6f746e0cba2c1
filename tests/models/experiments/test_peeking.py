"""Strategies as a person would write them into a file: those that peek fail, others pass."""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.workers.line import ProcessLine
from features.calendars import day_of
from models.experiments.account import walk, weights_of
from models.experiments.apart import Apart
from models.experiments.fields import ExperimentError
from models.experiments.guard import trial_peeks
from models.experiments.running import trials_of
from models.experiments.strategy import FunctionStrategy
from models.experiments.windows import windows_of
from tests.models.experiments.builders import make_ground, make_market, make_spec

HEAD = """
import numpy as np

KEPT = {}

def weights(market):
    close = np.nan_to_num(market.close, nan=1.0)
    changes = np.vstack([np.zeros(close.shape[1]), np.diff(np.log(close), axis=0)])
"""
PEEKING = {
    "the next session's change": """
    return np.sign(np.roll(changes, -1, axis=0))
""",
    "the next change where it is large, else nothing": """
    ahead = np.roll(changes, -1, axis=0)
    return np.where(np.abs(ahead) > 0.001, np.sign(ahead), 0.0)
""",
    "a centred window": """
    kernel = np.ones(5) / 5
    smooth = np.apply_along_axis(lambda c: np.convolve(c, kernel, "same"), 0, close)
    return np.sign(smooth[: len(close)] - close)
""",
    "a scale of the whole sample": """
    return (close - close.mean(axis=0)) / close.std(axis=0)
""",
    "ranks among all sessions": """
    return close.argsort(axis=0).argsort(axis=0) / len(close) - 0.5
""",
    "a model that was fitted to everything": """
    past = np.vstack([np.zeros_like(changes[:1]), changes[:-1]]).ravel()
    slope = (past * changes.ravel()).sum() / (past**2).sum()
    return slope * changes
""",
    "what is filled in from behind": """
    out = np.full_like(close, np.nan)
    out[::7] = close[::7]
    for t in range(len(out) - 2, -1, -1):
        out[t] = np.where(np.isnan(out[t]), out[t + 1], out[t])
    return np.nan_to_num(np.sign(out - close))
""",
    "the next session's change on four days of a year": """
    few = np.array([day.month == 2 and day.day > 25 for day in market.days])
    return np.where(few[:, None], np.sign(np.roll(changes, -1, axis=0)), np.sign(changes))
""",
    "the next day's month, on a few days of the year": """
    months = np.array([day.month for day in market.days])
    return np.where(months != np.append(months[1:], months[-1]), 0.5, 0.0)[:, None] + 0 * close
""",
    "what a global kept of a longer market": """
    if len(close) > len(KEPT.get("close", [])):
        KEPT["close"] = close
    return np.sign(np.roll(KEPT["close"], -1, axis=0) - KEPT["close"])[: len(close)]
""",
    "what the first call has measured": """
    KEPT.setdefault("mean", close.mean(axis=0))
    return np.sign(close - KEPT["mean"])
""",
    "what lies beneath a part of an array": """
    beneath = market.close
    while beneath.base is not None:
        beneath = beneath.base
    beneath = np.nan_to_num(np.vstack([beneath, beneath[-1:]]), nan=1.0)
    return np.sign(beneath[1 : len(close) + 1] - beneath[: len(close)])
""",
    "what lies behind the end of an array": """
    strides, count = market.close.strides, market.close.size + close.shape[1]
    flat = np.lib.stride_tricks.as_strided(market.close, (count,), strides[1:])
    ahead = np.nan_to_num(flat.reshape(-1, close.shape[1])[1:], nan=1.0)
    return np.sign(ahead - close)
""",
}
HONEST = {
    "yesterday's change": """
    return np.sign(changes)
""",
    "a scale of the past alone": """
    count = np.arange(1, len(close) + 1)[:, None]
    mean = np.cumsum(close, axis=0) / count
    return np.sign(close - mean)
""",
    "a model that is fitted again at each session": """
    past = np.vstack([np.zeros_like(changes[:1]), changes[:-1]])
    above, below = (np.cumsum((past * other).sum(axis=1)) for other in (changes, past))
    return (above / np.maximum(below, 1e-12))[:, None] * changes
""",
    "sums whose last bits are of how many there are": """
    loadings = np.random.default_rng(3).normal(size=(close.shape[1],) * 2)
    return changes @ loadings
""",
    "chance": """
    drawn = np.random.default_rng(5).standard_normal((2_000, close.shape[1]))
    return drawn[: len(close)]
""",
}


def _found(body: str, seed: int) -> int:
    spec = make_spec(strategy={"source": HEAD + body})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    market = make_market(200, seed=seed)
    walk(trial, market)  # as before the guard asks
    return len(trial_peeks(trial, market, 6, ProcessLine))


@pytest.mark.parametrize("name", PEEKING)
@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_peeks_fails(name: str, seed: int) -> None:
    """Six futures that are cut off are enough, wherever they fall."""
    assert _found(PEEKING[name], seed) > 0


@pytest.mark.parametrize("name", HONEST)
def test_a_file_that_looks_back_passes(name: str) -> None:
    """What knows the past alone decides the same under every cut."""
    assert _found(HONEST[name], 1) == 0


TOUCHING = {
    "numpy": "return np.sign(np.loadtxt(PATH))[:len(close), None] + 0 * close",
    "text": "return float(open(PATH).readline()) + 0 * close",
    "a failure that is hidden": """
    try:
        return float(open(PATH).readline()) + 0 * close
    except Exception:
        return 0 * close
""",
    "another process": """
    import subprocess
    return float(subprocess.check_output(["head", "-1", PATH])) + 0 * close
""",
    "a connection": """
    import socket
    socket.create_connection(("127.0.0.1", 9), 1)
""",
    "a database": """
    import sqlite3
    sqlite3.connect(PATH)
""",
    "polars": "import polars as pl; return pl.read_csv(PATH).to_numpy()",
    "sql": "import polars as pl; return pl.sql(f\"select * from read_csv('{PATH}')\").collect()",
    "duckdb": "import duckdb; return duckdb.sql(f\"select * from '{PATH}'\").fetchall()",
}


@pytest.mark.parametrize("name", TOUCHING)
def test_a_file_that_looks_elsewhere_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """What lies in a file or elsewhere is in no result's hash, and no cut takes it away."""
    (tmp_path / "ahead.csv").write_text("0.5\n" * 300)
    body = TOUCHING[name] if TOUCHING[name].startswith("\n") else f"\n    {TOUCHING[name]}\n"
    text = f"PATH = {str(tmp_path / 'ahead.csv')!r}\n" + HEAD + body
    with pytest.raises(ExperimentError, match="nothing but the market that it is given") as told:
        _run(text)
    assert "\n" not in str(told.value)


def test_a_file_that_reads_when_it_is_loaded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ahead.csv"
    path.write_text("0.5\n")
    text = f"KNOWN = open({str(path)!r}).read()\n{HEAD}\n    return close * 0\n"
    with pytest.raises(ExperimentError, match=r"strategy.file: .*opened .*ahead.csv"):
        _run(text)
    assert path.read_text() == "0.5\n"  # afterwards this thread may read again


def test_libraries_may_be_imported_and_compiled_while_it_decides() -> None:
    text = (
        HEAD
        + """
    import numba, pandas, zoneinfo, scipy.signal, sklearn.linear_model
    zoneinfo.ZoneInfo("Europe/London")
    return numba.njit(lambda x: x * 0.0)(close)
"""
    )
    _run(text)


def _run(text: str) -> None:
    spec = make_spec(strategy={"source": text})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    walk(trial, make_market(60))


# Each keeps what it saw of the whole somewhere else than in its own module.
KEEPING = {
    "on a library's module": "np.ahead = getattr(np, 'ahead', ahead); kept = np.ahead",
    "on a library's class": """
    kind = type(market)
    kind.ahead = getattr(kind, "ahead", ahead)
    kept = kind.ahead
""",
    "in a library's own list": """
    import warnings
    found = [rule[1] for rule in warnings.filters if rule[0] == "kept"]
    warnings.filters[:] = warnings.filters if found else [*warnings.filters, ("kept", ahead)]
    kept = found[0] if found else ahead
""",
    "among the modules": "import sys; kept = sys.modules.setdefault('ahead', ahead)",
    "on what is handed out twice": """
    import logging
    log = logging.getLogger("x")
    log.ahead = getattr(log, "ahead", ahead)
    kept = log.ahead
""",
}


@pytest.mark.parametrize("name", KEEPING)
def test_what_a_file_keeps_elsewhere_is_not_there_under_a_cut(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cut is asked about in a process that has seen no longer market."""
    import logging
    import sys
    import warnings

    import numpy as np

    from models.experiments.strategy import MarketView

    monkeypatch.setattr(np, "ahead", None, raising=False)
    monkeypatch.delattr(np, "ahead")
    monkeypatch.setattr(warnings, "filters", list(warnings.filters))
    body = KEEPING[name] if KEEPING[name].startswith("\n") else f"\n    {KEEPING[name]}\n"
    ahead = "    ahead = np.sign(np.roll(changes, -1, axis=0))"
    text = f"{HEAD}{ahead}{body}    return np.resize(kept, close.shape)\n"
    try:
        assert _found(text.removeprefix(HEAD), 1) > 0
    finally:
        sys.modules.pop("ahead", None)
        for kept in (MarketView, logging.getLogger("x")):
            if hasattr(kept, "ahead"):
                del kept.ahead


OUTSIDE = {
    "the environment": "import os; os.environ['BEST'] = '1'",
    "memory that processes share": "from multiprocessing import shared_memory",
    "a file in memory": "open('/dev/shm/apiary-best', 'w')",
    "another process's memory": "import os; open(f'/proc/{os.getppid()}/mem', 'rb')",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_other_processes_could_read_is_refused(name: str) -> None:
    with pytest.raises(ExperimentError, match="nothing but the market that it is given"):
        _run(HEAD + f"    {OUTSIDE[name]}\n    return 0 * close\n")


def test_a_process_that_ends_is_told_in_one_line() -> None:
    spec = make_spec(strategy={"source": HEAD + "    return changes\n"})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    assert isinstance(trial.strategy, FunctionStrategy)
    ends = replace(trial.strategy, source="import os\n\ndef weights(market):\n    os._exit(7)\n")
    with (
        Apart(ends, ProcessLine) as apart,
        pytest.raises(ExperimentError, match="its process ended with code 7"),
    ):
        weights_of(trial, make_market(60), apart.weights)


def test_a_process_apart_decides_as_this_one_and_is_sent_for_features() -> None:
    body = "    return np.sign(sum(market.features.values())) * changes\n"
    spec = make_spec(strategy={"source": HEAD + body})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    assert isinstance(trial.strategy, FunctionStrategy)
    whole = make_market(60)
    part = whole.between(day_of(whole.closes[0]), day_of(whole.closes[30]))
    with Apart(trial.strategy, ProcessLine) as apart:
        for market in (part, whole, part):
            asked = weights_of(trial, market, apart.weights)
            assert asked.tobytes() == weights_of(trial, market).tobytes()


def test_a_file_may_set_a_librarys_options() -> None:
    source = "import pandas as pd\npd.options.mode.copy_on_write = True\n" + HEAD
    make_spec(strategy={"source": source + "    return 0 * close\n"})


def test_a_file_may_change_what_it_made_itself() -> None:
    """Frames, arrays, objects and functions of its own are forgotten with its module."""
    body = """
    import logging
    import pandas as pd

    class Fit:
        pass

    frame, fit, seen = pd.DataFrame(close), Fit(), {}
    frame.columns = [str(i) for i in range(close.shape[1])]
    frame["first"], fit.slope, weights.asked = 1.0, 2.0, True
    frame.index.name = "day"
    seen.update(a=1)
    logging.getLogger(type(fit).__name__).info("fitted")
    gap = np.nan
    gap = np.zeros(3)
    gap[0] = 1.0
    changes[0] = np.ma.append(changes[0], 0.0)[:-1]
    return 0 * close
"""
    _run(HEAD + body)
