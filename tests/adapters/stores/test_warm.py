"""The warm tier: one contract for Parquet on disk and for a real PostgreSQL server."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Thread

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.segments import Segment, SegmentTier, TierCorruptionError
from adapters.stores.warm import WarmStore
from adapters.stores.warm_postgres import PostgresWarmStore, WarmStoreUnavailableError
from tests.services import PostgresService, black_hole, postgres_server
from tests.timescale_standin import timescale_server

NOON = datetime(2024, 1, 20, 12, tzinfo=UTC)


def make_bars(count: int) -> pl.DataFrame:
    times = [NOON + timedelta(days=i) for i in range(count)]
    return pl.DataFrame(
        {"event_time": times, "close": [float(i) for i in range(count)]},
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresService]:
    with postgres_server() as service:
        yield service


Opener = Callable[[], SegmentTier]


# A database with TimescaleDB, started by hand: docs/how-to/run-on-servers.md says how.
TIMESCALE_URL = os.environ.get("APIARY_TEST_TIMESCALE_URL", "")


@pytest.fixture(scope="module")
def timescale_url() -> Iterator[str]:
    """A database with TimescaleDB, or with what stands in for it."""
    if TIMESCALE_URL:
        yield TIMESCALE_URL
        return
    with timescale_server() as service:
        yield service.url


@pytest.fixture(params=["embedded", "postgres", "timescale"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Open the same tier again and again, as another process would."""
    if request.param == "embedded":
        return lambda: WarmStore(tmp_path / "warm")
    is_timescale = request.param == "timescale"
    url = request.getfixturevalue("timescale_url" if is_timescale else "server")
    url = url if isinstance(url, str) else url.url
    schema = f"warm_{abs(hash(tmp_path)) % 10**9}"
    return lambda: PostgresWarmStore(PostgresAddress(url), schema=schema)


@pytest.fixture
def warm(opener: Opener) -> SegmentTier:
    return opener()


@pytest.fixture
def files(tmp_path: Path) -> WarmStore:
    return WarmStore(tmp_path / "warm")


def rows_of(warm: SegmentTier, table: str = "bars") -> pl.DataFrame:
    return warm.scan(table, warm.segments(table)).collect().sort("event_time")


def test_a_batch_is_cut_by_month_and_read_back_whole(opener: Opener) -> None:
    segments = opener().write("bars", make_bars(30))
    again = opener()

    assert [s.row_count for s in segments] == [12, 18]
    assert rows_of(again).equals(make_bars(30))
    assert segments[1].first == datetime(2024, 2, 1, 12, tzinfo=UTC)
    assert set(again.segments("bars")) == set(segments)


def test_writing_again_adds_nothing(warm: SegmentTier) -> None:
    first = warm.write("bars", make_bars(5))

    assert [s.content_hash for s in warm.write("bars", make_bars(5).reverse())] == [
        s.content_hash for s in first
    ]
    assert len(warm.segments("bars")) == 1
    assert rows_of(warm).height == 5


def test_scans_are_bounded_by_time_and_instrument(warm: SegmentTier) -> None:
    ids = pl.Series("instrument_id", [f"US.{i % 3}" for i in range(30)])
    warm.write("bars", make_bars(30).with_columns(ids))
    day = timedelta(days=1)

    found = warm.scan(
        "bars",
        warm.segments("bars"),
        start=NOON + 3 * day,
        end=NOON + 20 * day,
        instrument_ids=["US.0"],
    )

    assert sorted(found.select("close").collect()["close"]) == [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]


def test_a_scan_takes_a_condition_and_gives_the_columns_asked_for(warm: SegmentTier) -> None:
    warm.write("bars", make_bars(30))

    scan = warm.scan("bars", warm.segments("bars"))

    found = scan.filter(pl.col("close") > 27).select("event_time").collect()
    assert sorted(found["event_time"]) == [NOON + timedelta(days=d) for d in (28, 29)]
    assert scan.select(pl.len()).collect().item() == 30


def test_a_column_that_comes_later_is_null_before(warm: SegmentTier) -> None:
    warm.write("bars", make_bars(2))
    warm.write("bars", make_bars(3).with_columns(venue=pl.lit("XNYS")).tail(1))

    assert rows_of(warm)["venue"].to_list() == [None, None, "XNYS"]


def test_every_kind_of_value_comes_back_as_it_went_in(warm: SegmentTier) -> None:
    rows = pl.DataFrame(
        {
            "event_time": [NOON, NOON + timedelta(microseconds=1), None],
            "text": ["", None, 'a "b", \\N\n\u00e9'],
            "float": [float("nan"), -float("inf"), 0.1 + 0.2],
            "small": [1, None, -3],
            "big": [2**62, -(2**63) + 1, None],
            "truth": [True, None, False],
            "day": [date(1999, 12, 31), None, date(2024, 2, 29)],
            "blob": [b"", None, b"\x00\xff"],
            "money": [Decimal("1.10"), None, Decimal("-3.25")],
        },
        schema_overrides={
            "event_time": pl.Datetime("us", "UTC"),
            "small": pl.Int16,
            "money": pl.Decimal(20, 2),
        },
    )

    for segment in warm.write("odd", rows):
        found = warm.read_segment(segment)
        assert dict(found.schema) == dict(rows.schema)
    assert sum(s.row_count for s in warm.segments("odd")) == 3


_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(_TEXT | st.none(), st.floats() | st.none(), st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_is_written_is_read(
    warm: SegmentTier, rows: list[tuple[str | None, float | None, int]]
) -> None:
    """A read segment is compared with its hash, so that to read it is to prove it."""
    frame = pl.DataFrame(
        rows, schema={"a": pl.String, "b": pl.Float64, "c": pl.Int64}, orient="row"
    )

    for segment in warm.write("any", frame):
        warm.read_segment(segment)


def test_what_is_not_there_raises_key_error(warm: SegmentTier) -> None:
    assert warm.segments("bars") == ()
    with pytest.raises(KeyError, match="no segment"):
        warm.read_segment(Segment("bars", "0" * 64, 0, 0, None, None))


def test_removal_is_idempotent(warm: SegmentTier) -> None:
    warm.write("bars", make_bars(30))
    segments = warm.segments("bars")
    warm.remove("bars", segments[:1])
    warm.remove("bars", segments[:1])

    assert warm.segments("bars") == segments[1:]
    assert warm.tables() == ("bars",)
    warm.remove("bars", segments[1:])
    assert warm.tables() == ()


def test_a_segment_is_written_once_by_writers_at_once(opener: Opener) -> None:
    gate = Barrier(4)

    def write() -> None:
        tier = opener()
        gate.wait()
        tier.write("bars", make_bars(30))

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows_of(opener()).height == 30


def test_an_unfinished_file_is_not_seen(files: WarmStore, tmp_path: Path) -> None:
    files.write("bars", make_bars(3))
    (tmp_path / "warm" / "bars" / "torn.999.part").write_bytes(b"PAR1 half a")

    assert rows_of(files).height == 3


def test_a_torn_file_is_found_and_named(files: WarmStore, tmp_path: Path) -> None:
    (segment,) = files.write("bars", make_bars(3))
    path = tmp_path / "warm" / "bars" / f"{segment.content_hash}.parquet"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(TierCorruptionError, match=path.name):
        files.read_segment(segment)


def test_a_changed_row_in_postgres_is_found(server: PostgresService) -> None:
    tier = PostgresWarmStore(PostgresAddress(server.url), schema="warm_changed")
    (segment,) = tier.write("bars", make_bars(3))
    with psycopg.connect(server.url) as hand:
        hand.execute("UPDATE warm_changed.bars SET close = close + 1 WHERE close = 2")

    with pytest.raises(TierCorruptionError, match="bars must hash to"):
        tier.read_segment(segment)


def test_months_are_partitions_and_an_empty_one_is_dropped(server: PostgresService) -> None:
    tier = PostgresWarmStore(PostgresAddress(server.url), schema="warm_months")
    tier.write("bars", make_bars(30))
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'warm_months'"
    with psycopg.connect(server.url, autocommit=True) as hand:
        found = {r[0] for r in hand.execute(names)}
        tier.remove("bars", [s for s in tier.segments("bars") if s.row_count == 12])
        left = {r[0] for r in hand.execute(names)}

    assert {"bars__2024_01", "bars__2024_02"} <= found
    assert found - left == {"bars__2024_01"}


def test_with_timescale_a_table_is_a_hypertable_and_old_chunks_are_dropped(
    timescale_url: str,
) -> None:
    schema = f"warm_{time.time_ns()}"
    tier = PostgresWarmStore(PostgresAddress(timescale_url), schema=schema)
    tier.write("bars", make_bars(120))
    chunks = f"SELECT count(*) FROM show_chunks('{schema}.bars')"
    days = f"SELECT time_bucket('1 day', event_time), count(*) FROM {schema}.bars GROUP BY 1"
    with psycopg.connect(timescale_url, autocommit=True) as hand:
        before = hand.execute(chunks).fetchone()
        assert len(hand.execute(days).fetchall()) == 120
        oldest = sorted(tier.segments("bars"), key=lambda s: str(s.first))[:3]
        tier.remove("bars", oldest)
        after = hand.execute(chunks).fetchone()

    assert before is not None
    assert after is not None
    assert after[0] < before[0]
    assert rows_of(tier).height == 120 - sum(s.row_count for s in oldest)


def test_a_server_that_went_away_is_one_line_and_comes_back(server: PostgresService) -> None:
    tier = PostgresWarmStore(PostgresAddress(server.url), schema="warm_away", timeout_s=2)
    tier.write("bars", make_bars(3))
    server.stop(signal.SIGQUIT)
    try:
        with pytest.raises(WarmStoreUnavailableError, match=r"^PostgreSQL failed: [^\n]+$"):
            tier.write("bars", make_bars(4))
        with pytest.raises(WarmStoreUnavailableError, match=r"^PostgreSQL failed: [^\n]+$"):
            PostgresWarmStore(PostgresAddress(server.url)).tables()
    finally:
        server.start()

    assert rows_of(tier).height == 3


def test_a_server_that_never_answers_fails_in_bounded_time() -> None:
    with black_hole() as port:
        url = f"postgresql://u:secret@127.0.0.1:{port}/d"
        tier = PostgresWarmStore(PostgresAddress(url, connect_timeout_s=2))
        began = time.monotonic()
        with pytest.raises(WarmStoreUnavailableError) as raised:
            tier.tables()

    assert time.monotonic() - began < 20
    assert "secret" not in str(raised.value)


def test_text_that_postgres_cannot_keep_is_one_clear_line(server: PostgresService) -> None:
    tier = PostgresWarmStore(PostgresAddress(server.url), schema="warm_nul")

    with pytest.raises(ValueError, match="PostgreSQL cannot keep these rows"):
        tier.write("notes", pl.DataFrame({"text": ["a\x00b"]}))
    assert tier.tables() == ()
