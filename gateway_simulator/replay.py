"""Given bars as the market: read from a CSV file, and laid onto the clock from now on."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gateway_simulator.gateway import Gateway
from gateway_simulator.listings import Asked
from gateway_simulator.market import ReplayBar

_COLUMNS = ("symbol", "time_s", "open", "high", "low", "close", "volume")


def read_bars(path: Path) -> dict[str, list[ReplayBar]]:
    """Return the bars of a CSV file with the columns symbol, time_s, open ... volume, by symbol.

    Raises ValueError that names line and column where the file is not so.
    """
    found: dict[str, list[ReplayBar]] = {}
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        missing = [c for c in _COLUMNS if c not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"{path} must have the columns {list(_COLUMNS)}, lacks {missing}")
        for number, row in enumerate(rows, 2):
            try:
                numbers = [Decimal(row[c]) for c in _COLUMNS[2:]]
                bar = ReplayBar(int(row["time_s"]), *numbers)
            except (InvalidOperation, ValueError, TypeError):
                raise ValueError(f"line {number} of {path} must hold numbers, was {row}") from None
            if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
                raise ValueError(f"line {number} of {path} must have low <= open, close <= high")
            found.setdefault(row["symbol"].upper(), []).append(bar)
    return found


def replay(gateway: Gateway, bars: Mapping[str, Sequence[ReplayBar]], bar_s: float) -> None:
    """Let the market follow given bars from now on, `bar_s` seconds each.

    Raises ValueError where a symbol names no single share.
    """
    now_s = gateway.clock.now_s()
    for symbol, given in bars.items():
        listings = gateway.find_listings(Asked(symbol=symbol, sec_type="STK", currency="USD"))
        if len(listings) != 1:
            raise ValueError(f"symbol must name one share, {symbol} did {len(listings)}")
        ordered = sorted(given, key=lambda bar: bar.time_s)
        laid = [replace(b, time_s=now_s + int(i * bar_s)) for i, b in enumerate(ordered)]
        gateway.market.replay(listings[0].con_id, laid)
