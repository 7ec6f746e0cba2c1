"""The desk's models forecast members of other exchanges, each exchange as a cross-section."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from adapters.stores.model_registry import FileModelRegistry
from adapters.stores.tables_delta import DeltaTableStore
from assets.experiment_market import market_of
from features.calendars import day_of
from features.schemas_derived import FORECASTS
from models.experiments.fields import ExperimentError
from models.experiments.market import Market
from models.experiments.spec import read_spec
from models.experiments.windows import windows_of
from models.settings import TrainingSettings
from models.training import train
from tests.models.builders import make_panel_frame
from tests.models.experiments.known import trading_days
from tests.pipelines.experiment_files import ACTIONS, bars_table, ingested, make_desk, write_prices

pytestmark = pytest.mark.xdist_group("experiments")
SESSIONS, TOKYO = 13, ("TK.T", "TK.U", "TK.V")
FEATURES = {"f0": "ret_1d", "f1": "rev_1d", "f2": "ret_intraday", "f3": "ret_overnight"}
MODEL = "desk"
FIRST, SECOND = 3, 8  # the sessions at which the desk's first and second model speak first


def walk_of(seed: int) -> list[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    close = np.round(2_000 * np.exp(np.cumsum(0.02 * rng.standard_normal(SESSIONS))), 2)
    open_ = np.round(close * np.exp(0.01 * rng.standard_normal(SESSIONS)), 2)
    high, low = np.maximum(open_, close), np.minimum(open_, close)
    return [(*map(float, row), 1e6) for row in zip(open_, high, low, close, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with a share in New York, three in Tokyo, the yen, and two models."""
    folder = tmp_path_factory.mktemp("abroad")
    write_prices(
        folder / "prices.csv", {"A": [None if n == 10 else row for n, row in enumerate(walk_of(1))]}
    )
    shares = {name[3:]: walk_of(seed) for seed, name in enumerate(TOKYO, 2)}
    # Its first session has no rate of the yen yet, so its shares begin on the second. Tokyo rests
    # on Monday the 13th of January, New York on Monday the 20th.
    closed = {
        name: [None if n in (0, 5) else row for n, row in enumerate(rows)]
        for name, rows in shares.items()
    }
    write_prices(folder / "tokyo.csv", closed, "JPY")
    write_prices(folder / "pairs.csv", {"JPYUSD": [(0.01, 0.01, 0.01, 0.01, 0)] * SESSIONS})
    (folder / "actions.csv").write_text("symbol,ex_date,kind,ratio,amount,currency,into,end_date\n")
    registry = FileModelRegistry(folder / "models")
    settings = TrainingSettings(
        trials=2, folds=2, rounds_max=20, train_sessions_min=80, workers=1, name=MODEL
    )
    for seed in (0, 1):
        frame = make_panel_frame(signal=0.5, seed=seed).rename(FEATURES)
        registry.register(MODEL, train(frame, settings).artifact, {})
    return folder


@pytest.fixture(scope="module")
def tables(folder: Path) -> DeltaTableStore:
    pairs = bars_table(
        "pairs.csv", id="FX.{symbol}", asset_class="fx", currency="USD", price_increment="0.0001",
        size_increment="1",
    )  # fmt: skip
    there = bars_table("tokyo.csv", id="TK.{symbol}", calendar="XTKS", currency="JPY")
    shares = bars_table("prices.csv", currency="USD")
    return ingested(folder, [shares, there, pairs, ACTIONS], make_desk())


def versions(folder: Path) -> list[str]:
    return [str(v["version"]) for v in FileModelRegistry(folder / "models").versions(MODEL)]


def at_home(spoken: Mapping[int, str]) -> pl.DataFrame:
    """Return the desk's own forecasts: from each of these sessions on that version speaks."""
    rows: list[dict[str, Any]] = []
    version = ""
    for number, day in enumerate(trading_days(SESSIONS)):
        version = spoken.get(number, version)
        close = datetime(day.year, day.month, day.day, 21, tzinfo=UTC)
        if version and day != date(2020, 1, 20):
            known = close + timedelta(hours=2)
            rows.append(
                {
                    "instrument_id": "US.A", "event_time": close, "knowledge_time": known,
                    "as_of": known, "forecast": 0.25, "expected_return": 0.001,
                    "model_name": MODEL, "model_version": version,
                }
            )  # fmt: skip
    return pl.DataFrame(rows or None, schema=dict(FORECASTS.columns))


def seen(
    folder: Path,
    tables: DeltaTableStore,
    spoken: Mapping[int, str],
    members: Sequence[str] = TOKYO,
) -> tuple[Market, dict[str, np.ndarray]]:
    """Return the market of an experiment, and each member's forecasts by session."""
    days = trading_days(SESSIONS)
    whole = {"start": datetime(2020, 1, 1, tzinfo=UTC), "end": datetime(2020, 2, 1, tzinfo=UTC)}
    tables.replace("forecasts", at_home(spoken), **whole)
    spec = read_spec(
        "abroad",
        {
            "question": "what does the desk's model say of Tokyo?",
            "start": days[0].isoformat(),
            "end": days[-1].isoformat(),
            "universe": ["US.A", *members],
        },
    )
    registry = FileModelRegistry(folder / "models")
    market = market_of(make_desk(), tables, spec, windows_of(spec)[0], registry)
    told = market.panel.features["forecast"]
    places = {name: market.panel.instrument_ids.index(name) for name in ("US.A", *members)}
    return market, {name: told[:, at] for name, at in places.items()}


def test_each_session_has_the_forecasts_of_the_model_that_spoke_last_before_its_close(
    folder: Path, tables: DeltaTableStore
) -> None:
    """Tokyo closes before New York: what speaks from session 3 on, speaks there from 4 on."""
    first, second = versions(folder)
    market, both = seen(folder, tables, {FIRST: first, SECOND: second})
    one = seen(folder, tables, {FIRST: first})[1]
    days = [day_of(close) for close in market.closes]
    assert days == trading_days(SESSIONS)
    assert one["US.A"][FIRST] == 0.25, "the desk's own stand as in its table"
    for name in TOKYO:
        known = np.isfinite(both[name])
        assert known.tolist() == [n > FIRST and n != 5 for n in range(SESSIONS)]
        changed = known & (both[name] != one[name])
        assert not changed[: SECOND + 1].any()
        assert changed[SECOND + 1 :].any()


def test_a_forecast_is_a_z_score_within_its_exchange_whoever_is_a_member(
    folder: Path, tables: DeltaTableStore
) -> None:
    first, _ = versions(folder)
    whole = seen(folder, tables, {FIRST: first})[1]
    part = seen(folder, tables, {FIRST: first}, TOKYO[:2])[1]
    rows = np.stack([whole[name] for name in TOKYO], 1)[FIRST + 1 :]
    rows = rows[np.isfinite(rows).all(1)]
    np.testing.assert_allclose(rows.mean(axis=1), 0.0, atol=1e-12)
    assert (rows.std(axis=1) > 0.5).any()
    for name in TOKYO[:2]:
        np.testing.assert_array_equal(part[name], whole[name])


def test_where_the_desk_has_no_forecasts_nobody_has(folder: Path, tables: DeltaTableStore) -> None:
    _, told = seen(folder, tables, {})
    assert not any(np.isfinite(values).any() for values in told.values())


def test_a_model_that_is_gone_is_told_in_one_line(folder: Path, tables: DeltaTableStore) -> None:
    with pytest.raises(ExperimentError, match="the registry must have model desk 0123456789abcdef"):
        seen(folder, tables, {FIRST: "0123456789abcdef"})
