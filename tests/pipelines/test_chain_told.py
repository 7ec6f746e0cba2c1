"""What a running chain tells: what its assets remark stays on the terminal."""

import logging
from collections.abc import Iterator

import dagster as dg
import pytest

from assets.ingest import REMARK
from pipelines.chain import QUIET, remarks


@pytest.fixture
def quiet() -> Iterator[None]:
    """Silence the loggers as the command does."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
def test_remarks_are_told_though_loggers_are_silent() -> None:
    @dg.asset
    def copied() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={REMARK: "bars: 2 rows are copies"})

    @dg.asset
    def copied_too() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={REMARK: "bars: 2 rows are copies"})

    @dg.asset
    def plain() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 2})

    result = dg.materialize([copied, copied_too, plain], run_config=QUIET)
    assert remarks(result) == ("bars: 2 rows are copies",)
