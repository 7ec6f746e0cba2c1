"""Clean tables: what is not traded while its newest record is in quarantine is told, and why."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from adapters.stores.tables_delta import DeltaTableStore
from assets import cleaning
from assets.ingest import REMARK
from assets.partitions import month_key
from features.data_status import may_release
from features.schemas import BARS, dated_instruments
from features.validation import ValidationSettings
from tests.features.validation.make import make_bars, make_instruments


def cleaned(bars: pl.DataFrame, home: Path, *, fresh: bool = True) -> dict[str, Any]:
    """Materialize clean_bars of the bars' last month and return its metadata."""
    tables = DeltaTableStore(home / "tables")
    start, end = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    tables.append("raw_bars", bars, key=BARS.key)
    tables.replace("instruments", dated_instruments(make_instruments(bars)), start=start, end=end)
    last: datetime = bars["event_time"].max()  # type: ignore[assignment]  # a column of times
    asset = next(a for a in cleaning.CLEAN_TABLES if a.key == dg.AssetKey("clean_bars"))
    with dg.DagsterInstance.ephemeral(str(home)) as instance:
        result = dg.materialize(
            [asset], instance=instance, partition_key=month_key(last.replace(day=1, hour=0)),
            resources={
                "tables": tables,
                "desk": SimpleNamespace(validation=ValidationSettings(require_fresh=fresh)),
                "clock": SimpleNamespace(now=lambda: last + timedelta(hours=3)),
            },
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
    found = result.asset_materializations_for_node("clean_bars")[0].metadata
    return {name: value.value for name, value in found.items()}


def spoiled(bars: pl.DataFrame, at: datetime) -> pl.DataFrame:
    here = (pl.col("instrument_id") == "US.T0") & (pl.col("event_time") == at)
    prices = pl.col("open", "high", "low", "close")
    return bars.with_columns(pl.when(here).then(prices * 100).otherwise(prices))


def test_an_instrument_whose_newest_record_is_put_aside_is_told_with_the_reason(
    tmp_path: Path,
) -> None:
    bars = make_bars(instruments=5)
    found = cleaned(spoiled(bars, bars["event_time"].max()), tmp_path)  # type: ignore[arg-type]
    assert found[REMARK].startswith(
        "bars: US.T0: not traded while the newest record is in quarantine, e.g. US.T0 moved +"
    )
    assert "a change of unit, not confirmed yet; apiary sql" in found[REMARK]
    assert not found["blocking"]
    close: datetime = bars["event_time"].max()  # type: ignore[assignment]  # a column of times
    tables, month = DeltaTableStore(tmp_path / "tables"), month_key(close)
    status = tables.read("data_status_bars")
    before = bars.filter(pl.col("event_time") < close)["event_time"].max()
    # The sessions before it are traded: a backfill that did not would look ahead.
    for moment, withheld in ((close, {"US.T0"}), (before, set[str]())):
        assert may_release(status, ["bars"], month, moment).withheld == withheld


def test_nothing_is_told_of_a_bad_record_that_others_followed(tmp_path: Path) -> None:
    bars = make_bars(instruments=5)
    found = cleaned(spoiled(bars, bars["event_time"].unique().sort()[-6]), tmp_path)
    assert found["quarantined_row_count"] == 1
    assert REMARK not in found


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("lacking", [1, 3])
def test_an_instrument_without_the_newest_session_is_told(
    tmp_path: Path, fresh: bool, lacking: int
) -> None:
    bars = make_bars(instruments=5)
    times = bars["event_time"].unique().sort()
    late = (pl.col("instrument_id") == "US.T0") & (pl.col("event_time") > times[-1 - lacking])
    found = cleaned(bars.filter(~late), tmp_path, fresh=fresh)
    assert found[REMARK].startswith(
        f"bars: US.T0 ends at {times[-1 - lacking]:%Y-%m-%d %H:%M}Z, {lacking} sessions before "
    )
    assert found[REMARK].endswith("; what has no bar of a session is not traded in it")


def test_an_instrument_that_ended_long_ago_is_history(tmp_path: Path) -> None:
    bars = make_bars(instruments=5)
    times = bars["event_time"].unique().sort()
    ended = (pl.col("instrument_id") == "US.T0") & (pl.col("event_time") > times[-20])
    assert REMARK not in cleaned(bars.filter(~ended), tmp_path, fresh=False)


def test_a_source_that_ended_is_not_told_while_another_goes_on(tmp_path: Path) -> None:
    bars = make_bars(instruments=5)
    times = bars["event_time"].unique().sort()
    of_it = (pl.col("instrument_id") == "US.T0") & (pl.col("event_time") < times[-2])
    older = bars.filter(of_it).with_columns(source=pl.lit("another"))
    assert REMARK not in cleaned(pl.concat([bars, older]), tmp_path, fresh=False)
