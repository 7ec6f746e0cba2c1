"""What stops a stage is told as our own code says it, and before anything is traded."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from adapters.stores.cold_errors import ColdDamagedError
from assets.trading import _require_readable
from pipelines.chain import _first_error


def test_what_our_code_says_is_told_and_not_what_it_came_from() -> None:
    @dg.op
    def read() -> None:
        try:
            int("byte 7")
        except ValueError as error:
            raise ValueError("the card in models/m must be readable") from error

    @dg.job
    def reading() -> None:
        read()

    told = _first_error(reading.execute_in_process(raise_on_error=False))

    assert told == "read: ValueError: the card in models/m must be readable"


class DamagedRows:
    """Tables of which one cannot be read, and one is not there."""

    def query(self, table: str, **_: object) -> object:
        if table == "decisions":
            raise KeyError(f"no tier has a table {table}")
        if table == "fills":
            raise ColdDamagedError("fills/part-1.parquet must be as it was written, is not")
        return None


def test_rows_that_a_run_writes_to_must_be_readable_before_it_trades() -> None:
    rows: Any = DamagedRows()
    moment = datetime(2026, 1, 2, tzinfo=UTC)

    with pytest.raises(ColdDamagedError, match=r"part-1\.parquet"):
        _require_readable(rows, moment, moment)
