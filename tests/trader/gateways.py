"""`apiary simulate-gateway` as a process, and a trader's home that trades through it over TCP."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from pipelines.settings import ROOT
from tests.trader.homes import write_targets

NAMES = ("US.AAPL", "US.MSFT")


@dataclass(frozen=True)
class GatewayProcess:
    """Where a simulated gateway listens, and how it is told what to do."""

    process: "subprocess.Popen[str]"
    port: int
    control_port: int

    def ask(self, target: str, **body: object) -> dict[str, Any]:
        answer = httpx.post(f"http://127.0.0.1:{self.control_port}{target}", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self) -> dict[str, Any]:
        return httpx.get(f"http://127.0.0.1:{self.control_port}/state", timeout=10).json()


@contextmanager
def gateway_process(*words: str) -> Iterator[GatewayProcess]:
    """Run a gateway whose auctions are held only when they are asked for."""
    command = [sys.executable, "-m", "pipelines.cli", "simulate-gateway", "--port", "0", "--quiet"]
    process = subprocess.Popen(
        [*command, "--auctions-every-s", "0", *words],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        ports = [int(re.findall(r":(\d+)", process.stdout.readline())[0]) for _ in range(2)]
        yield GatewayProcess(process, *ports)
    finally:
        process.kill()
        process.communicate()


def make_ib_home(folder: Path, port: int, **trade: Any) -> Path:
    """Write a configuration that trades two shares through a gateway; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_targets(folder, [])
    instruments = [
        {"instrument_id": n, "asset_class": "equity", "currency": "USD", "calendar": "24/7"}
        for n in NAMES
    ]
    values: dict[str, Any] = {
        "feed": {"kind": "ib", "port": port, "repeat_s": 0.5, "answer_s_max": 5},
        "engine": {"kind": "targets", "file": "targets.yaml"},
        "broker": {"kind": "ib_paper", "port": port, "answer_s_max": 5},
        "order_kind": "market",
        "instruments": instruments,
        "watch": {"heartbeat_s": 0.05, "feed_silence_s_max": 8, "reconcile_every_s": 2},
        "account": {"cash_tolerance": 1},
    }
    config = folder / "apiary.yaml"
    content = {
        "home": str(folder / "home"),
        "sources": [{"kind": "default"}],
        "calendar": "24/7",
        "trade": {**values, **trade},
    }
    config.write_text(yaml.safe_dump(content))
    return config
