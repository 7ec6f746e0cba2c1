"""A universe is put on record once, and again when another one is decided on."""

from dataclasses import replace
from datetime import UTC, datetime

from adapters.stores.lineage_universe import universe_node
from assets.universe_record import find_news
from features.universe import Universe, liquidity_rule

JANUARY, FEBRUARY = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
CHOSEN = Universe(((JANUARY, ("A", "B")), (FEBRUARY, ("B", "C"))), liquidity_rule(2), (50.0, 90.0))


def test_what_is_decided_on_is_told_once() -> None:
    first = find_news(CHOSEN, None, "2020-02-03", 7)
    assert first is not None
    assert (first.instrument_ids, first.values, first.time_ns) == (("B", "C"), (50.0, 90.0), 7)
    assert datetime.fromtimestamp(first.chosen_as_of_ns / 1e9, UTC) == CHOSEN.spans[-1][0]
    assert find_news(CHOSEN, first, "2020-02-04", 8) is None
    other = replace(CHOSEN, spans=(CHOSEN.spans[0],))
    changed = find_news(other, first, "2020-02-04", 8)
    assert changed is not None
    back = find_news(CHOSEN, changed, "2020-02-05", 9)
    assert back is not None
    assert len({first.event_id, changed.event_id, back.event_id}) == 3


def test_a_whole_market_is_news_only_after_a_part_of_it() -> None:
    assert find_news(None, None, "2020-02-03", 7) is None
    part = find_news(CHOSEN, None, "2020-02-03", 7)
    whole = find_news(None, part, "2020-02-04", 8)
    assert whole is not None
    assert (whole.rule, whole.instrument_ids) == ("all of its market", ())
    assert find_news(None, whole, "2020-02-05", 9) is None


def test_an_explanation_says_by_which_rule_and_where_the_instrument_stood() -> None:
    told = find_news(CHOSEN, None, "2020-02-03", 7)
    node = universe_node(told, "B")
    assert "the 2 most liquid: median of close times volume over the 63 sessions" in node.title
    assert node.facts["rank"] == "2 of 2"
    assert (node.facts["median_traded_value"], node.facts["least_of_the_universe"]) == (50.0, 50.0)
    assert node.facts["as_of"] == CHOSEN.spans[-1][0]
    assert "A is none of them and was held from before" in universe_node(told, "A").title
    assert universe_node(None, "A").title == "all of the market is decided on"
