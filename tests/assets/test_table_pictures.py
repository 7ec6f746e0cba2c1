"""Pictures of tables: PNGs of some size, of whatever rows a source or a session may bring."""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from assets import table_pictures
from assets.pictures import drawn

DAY = timedelta(days=1)
TIME = pl.Datetime("us", "UTC")
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def times(count: int, step: timedelta = DAY) -> list[datetime]:
    return [datetime(2020, 1, 1, tzinfo=UTC) + step * i for i in range(count)]


def bars(count: int = 90, step: timedelta = DAY) -> pl.DataFrame:
    rows = {"event_time": times(count, step), "source": ["a", "b"] * (count // 2)}
    return pl.DataFrame(rows, schema_overrides={"event_time": TIME})


def sessions(count: int) -> list[date]:
    return [date(2020, 1, 1) + DAY * i for i in range(count)]


def decided(instruments: int) -> pl.DataFrame:
    ids = [f"I{i:03d}" for i in range(instruments)]
    return pl.DataFrame(
        {
            "session": [s for s in sessions(5) for _ in ids],
            "instrument_id": ids * 5,
            "target_weight": [0.0, None, 0.1, -0.2, float("nan")] * instruments,
        }
    )


def traded() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "session": [*sessions(3), None],
            "instrument_id": ["A", "A", "E", None],
            "currency": ["USD", None, "EUR", "USD"],
            "verdict": ["approved", "denied", "approved", "approved"],
            "status": ["filled", "denied", None, "cancelled"],
            "quantity": [1.0, -2.0, 3.0, 4.0],
            "reference_price": [10.0, float("nan"), -3.0, None],
            "slippage_bps": [1.0, None, float("inf"), 1e9],
            "cost": [1.0, 0.0, 2.0, None],
        }
    )


def nav() -> pl.DataFrame:
    values = [1.0, 2.0, 3.0]
    return pl.DataFrame({"session": sessions(3), "nav": values, "gross": values, "net": values})


PICTURES: dict[str, Callable[[], bytes]] = {
    "rows of a quarter": lambda: table_pictures.rows_over_time(bars()),
    "rows of one day": lambda: table_pictures.rows_over_time(bars(2)),
    "rows of sixty years": lambda: table_pictures.rows_over_time(bars(800, DAY * 28)),
    "rows from the ends of time": lambda: table_pictures.rows_over_time(
        pl.concat([bars(), bars(2).with_columns(event_time=pl.Series([FIRST, LAST], dtype=TIME))])
    ),
    "rows of forty sources": lambda: table_pictures.rows_over_time(
        bars(80).with_columns(source=pl.Series([f"s{i % 40}" for i in range(80)]))
    ),
    "nothing found": lambda: table_pictures.rows_and_findings(bars(), found([])),
    "something found": lambda: table_pictures.rows_and_findings(bars(), found(times(3))),
    "gaps of two instruments": lambda: table_pictures.bar_coverage(
        bars()
        .with_columns(instrument_id=pl.col("source"))
        .filter(pl.col("event_time") != times(1)[0])
    ),
    "weights of three": lambda: table_pictures.target_weights(decided(3)),
    "weights of a hundred": lambda: table_pictures.target_weights(decided(100)),
    "orders": lambda: table_pictures.orders_by_session(traded(), {"A": "USD", "E": "EUR"}),
    "fills": lambda: table_pictures.slippage_and_costs(traded()),
    "ledger": lambda: table_pictures.nav_and_exposure(nav().with_columns(drawdown_fraction=0.1)),
}


def found(at: list[datetime]) -> pl.DataFrame:
    schema = {"event_time": TIME, "kind": pl.String()}
    return pl.DataFrame({"event_time": at, "kind": ["stale"] * len(at)}, schema=schema)


@pytest.mark.parametrize("name", list(PICTURES))
def test_a_picture_is_drawn_and_always_the_same(name: str) -> None:
    png = PICTURES[name]()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert width >= 600
    assert height >= 150
    assert PICTURES[name]() == png


def test_a_finding_changes_the_picture() -> None:
    assert PICTURES["nothing found"]() != PICTURES["something found"]()


def test_costs_of_two_currencies_are_two_lines_and_no_sum() -> None:
    """What differs in its currency alone is another picture; before, it was the same sum."""
    one = traded().with_columns(currency=pl.lit("USD"))

    assert table_pictures.slippage_and_costs(traded()) != table_pictures.slippage_and_costs(one)
    two = table_pictures.orders_by_session(traded(), {"A": "USD", "E": "EUR"})
    assert two != table_pictures.orders_by_session(traded(), {"A": "USD", "E": "USD"})


def test_no_rows_are_no_picture() -> None:
    assert drawn("rows", table_pictures.rows_over_time, bars().clear()) == {}


def test_a_picture_is_metadata_that_the_ui_shows() -> None:
    (value,) = drawn("rows", table_pictures.rows_over_time, bars()).values()
    assert str(value.md_str).startswith("![rows](data:image/png;base64,")
