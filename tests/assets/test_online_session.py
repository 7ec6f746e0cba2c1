"""What the newest session is decided on comes from the online store, and equals the table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from assets.online_session import OnlineSession

CLOSE = datetime(2020, 7, 31, 20, tzinfo=UTC)


def make_rows(**changes: Any) -> pl.DataFrame:
    """Return two instruments' stored rows, one value not known."""
    columns: dict[str, Any] = {
        "instrument_id": ["US.A", "US.B"],
        "event_time": [CLOSE, CLOSE],
        "knowledge_time": [CLOSE, CLOSE],
        "as_of": [CLOSE, CLOSE],
        "ret_1": [0.01, float("nan")],
        "ret_5": [0.02, 0.03],
    }
    return pl.DataFrame({**columns, **changes})


class FakeOnline:
    """Serves fixed rows and notes what was asked for."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.rows, self.asked = rows, list[tuple[str, ...]]()

    def online(self, instrument_ids: Sequence[str], service: str) -> pl.DataFrame:
        self.asked.append(tuple(instrument_ids))
        ids = pl.DataFrame({"instrument_id": list(instrument_ids)})
        served = self.rows.drop("as_of").with_columns(pl.col("ret_1", "ret_5").fill_nan(None))
        return ids.join(served, on="instrument_id", how="left", maintain_order="left")


def served(online_rows: pl.DataFrame, newest: datetime = CLOSE) -> tuple[Any, FakeOnline]:
    """Serve the stored rows from an online store that holds `online_rows`."""
    fake: Any = FakeOnline(online_rows)
    return OnlineSession(fake, newest).serve(CLOSE, make_rows()), fake


def test_the_newest_session_is_read_online() -> None:
    """One question for all instruments, and the rows that come back are sound."""
    result, fake = served(make_rows())
    assert fake.asked == [("US.A", "US.B")]
    assert result.fault == ""
    assert result.rows.columns == make_rows().columns


def test_an_older_session_is_read_from_the_table() -> None:
    """What is online has moved on, so nobody asks it."""
    result, fake = served(make_rows(), newest=datetime(2020, 8, 3, 20, tzinfo=UTC))
    assert fake.asked == []
    assert result.rows.equals(make_rows())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("ret_5", [0.02, 0.031]),
        ("ret_5", [0.02, None]),
        ("ret_1", [0.01, 0.5]),
        ("event_time", [CLOSE, datetime(2020, 7, 30, 20, tzinfo=UTC)]),
        ("knowledge_time", [CLOSE, None]),
    ],
)
def test_a_value_or_time_that_differs_is_a_fault(column: str, values: list[Any]) -> None:
    """A stale, missing or changed row is not decided on, and the column is named."""
    result, _ = served(make_rows(**{column: values}))
    assert f"1 of 6 columns differed: {column}" in result.fault


def test_an_instrument_that_is_not_online_is_a_fault() -> None:
    """Rows that were never pushed are not taken from the table in silence."""
    result, _ = served(make_rows().head(1))
    assert "must equal the feature table" in result.fault
