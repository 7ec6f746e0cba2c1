"""A fault that every series shares is still a fault: no market moves a hundredfold in a bar."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from features import validation
from features.schemas import BARS

NAMES = [f"US.{letter}" for letter in "ABCDEFGH"]
START = datetime(2018, 1, 2, 21, tzinfo=UTC)


def make_bars(factor: float, bars_from_end: int) -> pl.DataFrame:
    """Return 200 days of eight walks whose last bars are all multiplied by `factor`."""
    generator = np.random.default_rng(5)
    frames = []
    for name in NAMES:
        close = 50 * np.exp(np.cumsum(0.01 * generator.standard_normal(200)))
        close[200 - bars_from_end :] *= factor
        times = [START + timedelta(days=i) for i in range(200)]
        frames.append(
            pl.DataFrame(
                {
                    "instrument_id": name,
                    "interval": "1d",
                    "event_time": times,
                    "knowledge_time": [t + timedelta(minutes=15) for t in times],
                    "close": close,
                    "source": "test",
                    "source_row": range(200),
                }
            )
        )
    return BARS.conform(pl.concat(frames))


@pytest.mark.parametrize("bars_from_end", [1, 5])
@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_a_file_that_changes_its_unit_for_every_series_blocks(
    factor: float, bars_from_end: int
) -> None:
    context = validation.CheckContext(
        as_of=START + timedelta(days=400),
        settings=validation.ValidationSettings(require_fresh=False),
    )
    report = validation.check("bars", make_bars(factor, bars_from_end), context=context)
    assert report.blocking
    if bars_from_end == 1:
        assert set(report.withheld) == set(NAMES)


def test_a_crash_of_the_whole_market_passes() -> None:
    context = validation.CheckContext(
        as_of=START + timedelta(days=400),
        settings=validation.ValidationSettings(require_fresh=False),
    )
    report = validation.check("bars", make_bars(0.77, 5), context=context)
    assert not report.blocking
