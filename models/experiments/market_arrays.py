"""A market as plain named arrays, so that workers share one copy of it."""

import json
import pickle
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.experiments.floor import Floor
from models.experiments.market import Market
from swarm_core.backtest import columns
from swarm_core.backtest.bars import Bars, writable
from swarm_core.colony.replay import Panel

Arrays = Mapping[str, NDArray[np.generic]]
_WORDS = "words"  # everything of a market that is text, as JSON bytes
_GRID = "grid"  # a floor's instruments and actions, pickled: they go between our own processes
_FLOOR = "floor/"
_DECIDED = "decided"
_OPTIONAL = ("data_age_s", "anomaly")


def to_arrays(market: Market) -> dict[str, NDArray[np.generic]]:
    """Return the market's arrays by name; from_arrays gives the market back."""
    panel = market.panel
    words = {
        "closes": [c.isoformat() for c in market.closes],
        "instrument_ids": panel.instrument_ids,
        "sectors": panel.sectors,
        "currencies": panel.currencies,
        "nav": panel.nav,
        "cost_bps": panel.cost_bps,
        "traded": panel.traded,
        "paid": panel.paid,
    }
    arrays: dict[str, NDArray[np.generic]] = {
        _WORDS: np.frombuffer(json.dumps(words).encode(), np.uint8),
        "benchmark": market.benchmark,
        "time_ns": panel.time_ns,
        "prices": panel.prices,
        "sigma": panel.sigma,
    }
    arrays |= {f"feature/{name}": values for name, values in panel.features.items()}
    arrays |= {f"market/{name}": values for name, values in panel.market.items()}
    given = {name: getattr(panel, name) for name in _OPTIONAL}
    given |= {"opens": market.opens, "volume": market.volume}
    if market.floor is not None:
        grid = market.floor.bars.instruments, dict(market.floor.actions)
        arrays[_GRID] = np.frombuffer(pickle.dumps(grid), np.uint8)
        arrays |= {f"{_FLOOR}{k}": v for k, v in market.floor.bars.market._asdict().items()}
        if market.floor.decided is not None:
            arrays[_DECIDED] = market.floor.decided
    return arrays | {name: values for name, values in given.items() if values is not None}


def from_arrays(arrays: Arrays) -> Market:
    """Return the market over views of the arrays; nothing is copied.

    But a floor is, where its arrays lie in memory that may not be written to, as Ray's does:
    compiled code is made for writable arrays, though it writes to none of these.
    """
    words = json.loads(arrays[_WORDS].tobytes())

    def below(prefix: str) -> dict[str, NDArray[np.float64]]:
        return {
            name.removeprefix(prefix): values.view(np.float64)
            for name, values in arrays.items()
            if name.startswith(prefix)
        }

    def given(name: str) -> NDArray[np.float64] | None:
        return arrays[name].view(np.float64) if name in arrays else None

    panel = Panel(
        time_ns=arrays["time_ns"].view(np.int64),
        instrument_ids=tuple(words["instrument_ids"]),
        prices=arrays["prices"].view(np.float64),
        sigma=arrays["sigma"].view(np.float64),
        features=below("feature/"),
        market=below("market/"),
        sectors=tuple(words["sectors"]),
        currencies=tuple(words["currencies"]),
        nav=words["nav"],
        cost_bps=words["cost_bps"],
        data_age_s=given("data_age_s"),
        anomaly=given("anomaly"),
        traded=words["traded"],
        paid=words["paid"],
    )
    closes = tuple(datetime.fromisoformat(c) for c in words["closes"])
    benchmark = arrays["benchmark"].view(np.float64)
    return Market(closes, panel, benchmark, given("opens"), _floor(arrays), given("volume"))


def _floor(arrays: Arrays) -> Floor | None:
    if _GRID not in arrays:
        return None
    instruments, actions = pickle.loads(arrays[_GRID].tobytes())
    bars = {
        name: writable(arrays[f"{_FLOOR}{name}"].view(np.int64)) for name in columns.Market._fields
    }
    return Floor(
        bars=Bars(instruments=instruments, market=columns.Market(**bars)),
        actions=actions,
        decided=arrays[_DECIDED].view(np.int64) if _DECIDED in arrays else None,
    )
