"""Tier policies: age, size and the close of a session, each table by its own rules."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from adapters.stores.segments import Segment
from adapters.stores.tiers import TierPolicies, TierPolicy, Tiers
from tests.adapters.stores.test_tiers import DAY, START, make_fills, make_tiers, places

AS_OF = START + 100 * DAY


def make_segment(age_days: int, *, size: int = 10) -> Segment:
    last = AS_OF - timedelta(days=age_days)
    return Segment("fills", f"{age_days:064d}", 1, size, last, last)


def leaving(policy: TierPolicy, *ages: int, closed_until: datetime | None = None) -> list[int]:
    segments = [make_segment(a) for a in ages]
    return [int(s.content_hash) for s in policy.leaves_hot(segments, AS_OF, closed_until)]


def test_rows_leave_by_age() -> None:
    assert leaving(TierPolicy(hot_age=5 * DAY), 1, 5, 6, 90) == [90, 6]


def test_the_oldest_leave_where_a_tier_holds_too_much() -> None:
    policy = TierPolicy(hot_age=50 * DAY, hot_bytes_max=25)

    assert leaving(policy, 1, 2, 3, 4) == [4, 3]
    assert leaving(policy, 1, 2) == []


def test_an_open_session_stays_whatever_the_rules_say() -> None:
    closed = AS_OF - 2 * DAY
    policy = TierPolicy(hot_age=timedelta(0), hot_bytes_max=0)

    assert leaving(policy, 0, 1, 2, 3, closed_until=closed) == [3, 2]


def test_rows_may_leave_at_the_close_of_their_session() -> None:
    policy = TierPolicy(hot_age=50 * DAY, at_close=True)

    assert leaving(policy, 0, 1, 2, closed_until=AS_OF - DAY) == [2, 1]
    assert leaving(policy, 0, 1, 2) == []  # no session is known to be closed


def test_a_table_has_its_own_rules(tmp_path: Path) -> None:
    tiers = make_tiers(tmp_path)
    for table in ("fills", "orders"):
        tiers.hot.write(table, make_fills(90, 1))
    policies = TierPolicies(TierPolicy(hot_age=90 * DAY), {"fills": TierPolicy(hot_age=DAY)})

    tiers.demote(AS_OF, policies)

    found = tiers.catalogue().tables().select("table", "tier").rows()
    assert found == [("fills", "warm"), ("orders", "hot")]


def test_what_was_restored_stays_warm_until_its_time(tmp_path: Path) -> None:
    tiers: Tiers = make_tiers(tmp_path)
    tiers.hot.write("fills", make_fills(0, 20))
    policy = TierPolicy(hot_age=DAY, warm_age=2 * DAY)
    tiers.demote(AS_OF, policy)
    before = tiers.catalogue().query("fills")
    assert places(tiers) == {"cold": 20}

    (move,) = tiers.restore(
        "fills", start=START + 5 * DAY, end=START + 9 * DAY, until=AS_OF + 3 * DAY
    )

    assert (move.source, move.target, move.row_count) == ("cold", "warm", 4)
    assert tiers.catalogue().query("fills").equals(before)
    tiers.demote(AS_OF + DAY, policy)
    assert places(tiers) == {"cold": 20, "warm": 4}
    tiers.demote(AS_OF + 3 * DAY, policy)
    assert places(tiers) == {"cold": 20}
    assert tiers.catalogue().query("fills").equals(before)


def test_nothing_is_restored_from_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no table fills"):
        make_tiers(tmp_path).restore("fills", start=START, end=AS_OF, until=AS_OF)


@pytest.mark.parametrize("sizes", [{"hot_bytes_max": -1}, {"warm_bytes_max": -1}])
def test_sizes_are_not_negative(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        TierPolicy(**sizes)  # type: ignore[arg-type]  # sizes by name
