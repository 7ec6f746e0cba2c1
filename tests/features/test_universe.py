"""The most liquid instruments are those that a desk of that day would have found."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from features.universe import Universe, most_liquid

START = datetime(2020, 1, 1, 21, tzinfo=UTC)
DECIDED = datetime(2020, 6, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def bars(volumes: dict[str, list[float | None]], known_after: timedelta = DAY / 24) -> pl.DataFrame:
    """A bar a day of each name at a close of 10."""
    rows = [
        (name, START + day * DAY, START + day * DAY + known_after, 10.0, volume)
        for name, each in volumes.items()
        for day, volume in enumerate(each)
    ]
    schema = ["instrument_id", "event_time", "knowledge_time", "close", "volume"]
    return pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None).cast(
        {"event_time": pl.Datetime("us", "UTC"), "knowledge_time": pl.Datetime("us", "UTC"),
         "volume": pl.Float64}
    )  # fmt: skip


def test_who_was_liquid_before_each_month_belongs_to_it() -> None:
    """EARLY trades until April, LATE from then on; each is ranked by what was before."""
    given = bars(
        {"EARLY": [9.0] * 90 + [1.0] * 110, "LATE": [1.0] * 90 + [9.0] * 110, "THIN": [5.0] * 200}
    )
    found = most_liquid(given, 1, DECIDED)
    months = {begin.month: names for begin, names in found.spans}
    assert months == {2: ("EARLY",), 3: ("EARLY",), 4: ("EARLY",), 5: ("EARLY",), 6: ("LATE",)}
    assert found.spans[-1] == (DECIDED, ("LATE",))  # from the first decision on it stays
    assert found.values == (90.0,)  # what LATE was chosen by: a close of 10 times a volume of 9


def test_nothing_that_comes_later_changes_who_belonged() -> None:
    volumes = {name: [float(5 + place)] * 200 for place, name in enumerate("ABCDE")}
    whole = most_liquid(bars(volumes), 2, DECIDED)
    for cut in (60, 100, 130):
        after = {name: [*each[:cut], *(each[cut:][::-1])] for name, each in volumes.items()}
        after["A"] = [*after["A"][:cut], *([1e9] * (200 - cut))]
        changed = most_liquid(bars(after), 2, DECIDED)
        moment = START + cut * DAY
        earlier = [span for span in whole.spans if span[0] <= moment]
        assert earlier == [span for span in changed.spans if span[0] <= moment]
        assert earlier


def test_a_revision_counts_from_the_moment_that_it_was_known() -> None:
    first = bars({"A": [5.0] * 200, "B": [4.0] * 200})
    late = bars({"B": [9.0] * 200}, known_after=100 * DAY)
    found = most_liquid(pl.concat([first, late]), 1, DECIDED)
    months = {begin.month: names for begin, names in found.spans}
    assert months[4] == ("A",)
    assert found.newest == ("A",)  # of the newest sessions no revision is known yet


def test_what_has_no_volume_or_too_few_sessions_is_not_ranked() -> None:
    given = bars({"NONE": [None] * 200, "NEW": [None] * 150 + [9.0] * 8, "OLD": [1.0] * 200})
    assert most_liquid(given, 3, DECIDED).newest == ("OLD",)
    with pytest.raises(ValueError, match="volumes on 20 sessions before 2020-06-10"):
        most_liquid(bars({"NONE": [None] * 200}), 3, DECIDED)


def test_rows_are_kept_where_their_instrument_belongs_at_their_time() -> None:
    begins = [datetime(2020, month, 1, tzinfo=UTC) for month in (2, 3)]
    universe = Universe(((begins[0], ("A",)), (begins[1], ("A", "B"))))
    times = [datetime(2020, 1, 31, 21, tzinfo=UTC), begins[0] + DAY, begins[1], begins[1] + DAY]
    rows = pl.DataFrame({"event_time": times * 2, "instrument_id": ["A"] * 4 + ["B"] * 4})
    rows = rows.cast({"event_time": pl.Datetime("us", "UTC")})
    kept = universe.kept(rows)
    assert kept.rows() == [(t, "A") for t in times[1:]] + [(t, "B") for t in times[2:]]
    assert kept.columns == rows.columns
