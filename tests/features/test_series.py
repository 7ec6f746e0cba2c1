"""An instrument in several sources: one is used whole, and who has not chosen it is told."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from assets.feature_tables import source_remark
from features.schemas import BARS
from features.series import ranked_sources, select_series, unchosen_sources

START = datetime(2024, 1, 2, 21, tzinfo=UTC)


def make_bars(source: str, count: int, *, versions: int = 1, name: str = "US.KO") -> pl.DataFrame:
    return BARS.conform(
        pl.DataFrame(
            {
                "instrument_id": name, "interval": "1d", "close": 1.0, "open": 1.0,
                "source": source, "adjustment": "raw",
                "event_time": [START + timedelta(days=n) for n in range(count)] * versions,
                "knowledge_time": [
                    START + timedelta(days=n + v) for v in range(versions) for n in range(count)
                ],
            }
        )
    )  # fmt: skip


def used(bars: pl.DataFrame, *priority: str) -> list[str]:
    return select_series(bars, priority)["source"].unique().to_list()


def test_versions_of_a_bar_are_one_bar() -> None:
    """A source that revised its few bars many times has no more of them for it."""
    bars = pl.concat([make_bars("a", 10), make_bars("b", 4, versions=5)])
    assert used(bars) == ["a"]
    assert used(bars, "b") == ["b"]


@pytest.mark.parametrize("priority", [("other",), ()])
def test_what_is_used_and_what_is_not_is_told(priority: tuple[str, ...]) -> None:
    bars = pl.concat([make_bars("files/x/a", 3), make_bars("files/x/b", 10), make_bars("c", 2),
                      make_bars("d", 1, name="US.GE")])  # fmt: skip
    unchosen = unchosen_sources(ranked_sources(bars, priority))
    assert unchosen.select("instrument_id", "name", "bar_count", "other_name").rows() == [
        ("US.KO", "files/x/b", 10, "files/x/a")
    ]
    assert source_remark(unchosen) == (
        "bars: 1 instrument stands in several sources, e.g. US.KO: files/x/b (10 bars to "
        "2024-01-11) is used, not files/x/a (3 bars to 2024-01-04); source_priority: [beginning "
        "of a source's name] in the configuration chooses"
    )


def test_nothing_is_told_where_a_priority_names_the_source_or_there_is_one() -> None:
    both = pl.concat([make_bars("files/x/a", 3), make_bars("files/x/b", 10)])
    assert source_remark(unchosen_sources(ranked_sources(both, ["files/x/a"]))) is None
    assert source_remark(unchosen_sources(ranked_sources(make_bars("a", 3)))) is None
    same = pl.concat([make_bars("wheel@1", 3), make_bars("wheel@2", 4)])  # its content changed
    assert source_remark(unchosen_sources(ranked_sources(same))) is None
    assert unchosen_sources(ranked_sources(both.clear())).is_empty()
