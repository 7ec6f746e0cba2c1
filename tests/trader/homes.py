"""A home that `apiary trade` trades in: a market of five-minute bars, targets, and its process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from adapters.stores.event_log_sqlite import SqliteEventLog
from pipelines.settings import ROOT
from swarm_core import events as ev
from swarm_core.book import Book, book_from_events

NAMES = ("US.ANT", "US.BEE", "US.CAT")
OPEN = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
# What the trader must do without: importing one of these fails, as if it were not installed.
ABSENT = ("dagster", "redis", "psycopg", "feast", "ib_async")
_START = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(','))); "
    "from pipelines.cli import app; app()"
)


def write_bars(path: Path, count: int = 12, days: int = 2) -> None:
    """Write five-minute bars: every price goes up one cent a bar, the next day goes on."""
    lines = ["instrument_id,time,open_time,open,high,low,close,volume"]
    step = 0
    for day in range(days):
        for number in range(count):
            opens = OPEN + timedelta(days=day, minutes=5 * number)
            for place, name in enumerate(NAMES):
                price = 20 * (place + 1) + step / 100
                cells = (name, opens + timedelta(minutes=5), opens, price, price + 0.02)
                lines.append(
                    ",".join(map(str, (*cells, price - 0.02, round(price + 0.01, 2), 200_000)))
                )
            step += 1
    path.write_text("\n".join(lines) + "\n")


def write_targets(folder: Path, rows: Sequence[tuple[datetime, Mapping[str, float]]]) -> None:
    """Write the targets file as a person would replace it: whole."""
    content = {"targets": [{"at": at.isoformat(), "weights": dict(w)} for at, w in rows]}
    beside = folder / "targets.part"
    beside.write_text(yaml.safe_dump(content))
    beside.replace(folder / "targets.yaml")


PLAN: list[tuple[datetime, dict[str, float]]] = [
    (OPEN + timedelta(minutes=7), {"US.ANT": 0.05, "US.BEE": 0.04}),
    (OPEN + timedelta(minutes=21), {"US.ANT": 0.02, "US.BEE": 0.04, "US.CAT": -0.05}),
    (OPEN + timedelta(days=1, minutes=11), {"US.ANT": 0.0, "US.BEE": 0.06, "US.CAT": 0.01}),
]


def make_home(folder: Path, *, speed: float = 0.0, **trade: Any) -> Path:
    """Write bars, targets and a configuration; return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bars(folder / "bars.csv")
    write_targets(folder, PLAN)
    instruments = [
        {"instrument_id": n, "asset_class": "equity", "currency": "USD", "calendar": "XNYS"}
        for n in NAMES
    ]
    values: dict[str, Any] = {
        "feed": {"kind": "replay", "file": "bars.csv", "speed": speed},
        "engine": {"kind": "targets", "file": "targets.yaml"},
        "broker": {"kind": "simulated"},
        "order_kind": "market",
        "instruments": instruments,
        "watch": {"heartbeat_s": 0.02},
    }
    return write_config(folder, trade={**values, **trade})


def write_config(folder: Path, **fields: Any) -> Path:
    """Write a desk's configuration whose home is in the folder; return its path."""
    config = folder / "apiary.yaml"
    content = {"home": str(folder / "home"), "sources": [{"kind": "default"}]}
    config.write_text(yaml.safe_dump({**content, **fields}))
    return config


@contextmanager
def trader_process(
    config: Path, absent: Sequence[str] = ABSENT, more: Sequence[str] = ()
) -> Iterator["subprocess.Popen[str]"]:
    """Run `apiary trade` in a process of its own; it is killed where it has not left."""
    environment = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"}
    process = subprocess.Popen(
        [sys.executable, "-c", _START, ",".join(absent), "trade", "--config", str(config), *more],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def run_to_end(config: Path) -> str:
    """Run the trader until its feed ends; return what it said."""
    with trader_process(config) as process:
        said, _ = process.communicate(timeout=280)
        assert process.returncode == 0, said
    return said


def heartbeat(config: Path) -> dict[str, Any]:
    path = config.parent / "home" / "control" / "trader.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def wait_for(
    config: Path, holds: Callable[[dict[str, Any]], bool], process: "subprocess.Popen[str]"
) -> dict[str, Any]:
    """Wait until the process's heartbeat shows it; a process that ends instead fails the test."""
    for _ in range(6_000):
        told = heartbeat(config)
        if told.get("process") == process.pid and holds(told):
            return told
        if process.poll() is not None:
            raise AssertionError(f"the trader must live, has left: {process.communicate()[0]}")
        time.sleep(0.01)
    raise AssertionError(f"the heartbeat must come to show it, was {heartbeat(config)}")


def log_of(config: Path) -> list[ev.RecordedEvent]:
    log = SqliteEventLog(config.parent / "home" / "warm" / "events.db")
    try:
        assert log.verify().sound
        return list(log.read())
    finally:
        log.close()


def book_of(config: Path) -> Book:
    return book_from_events(log_of(config), "USD", 1_000_000, keeps_all=True)


def make_slow_home(folder: Path) -> Path:
    """Write a market of one bar a second in real time; US.CAT trades only at its beginning.

    So an order in US.CAT is never filled, and one in US.ANT within a second.
    """
    config = make_home(folder, speed=1)
    lines = ["instrument_id,time,open,high,low,close,volume"]
    for second in range(1, 900):
        moment = OPEN + timedelta(seconds=second)
        names = NAMES[:1] if second > 1 else NAMES
        lines.extend(f"{name},{moment},20.0,20.1,19.9,20.0,200000" for name in names)
    (folder / "bars.csv").write_text("\n".join(lines) + "\n")
    return config
