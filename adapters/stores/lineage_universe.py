"""Why an instrument was decided on: the universe that was in force, and the instrument's place."""

from adapters.stores.lineage_reads import moment
from adapters.stores.lineage_tree import LineageNode
from swarm_core.events import UniverseChosen


def universe_node(chosen: UniverseChosen | None, instrument_id: str) -> LineageNode:
    """Return the rule, and where the instrument stood by it; what is not in force is told so."""
    if chosen is None:
        return LineageNode(kind="universe", title="all of the market is decided on")
    facts: dict[str, object] = {"chosen_at": moment(chosen.time_ns)}
    if chosen.chosen_as_of_ns:
        facts["as_of"] = moment(chosen.chosen_as_of_ns)
    if chosen.values and instrument_id in chosen.instrument_ids:
        value = chosen.values[chosen.instrument_ids.index(instrument_id)]
        rank = 1 + sum(other > value for other in chosen.values)
        facts |= {
            "rank": f"{rank} of {len(chosen.values)}",
            "median_traded_value": value,
            "least_of_the_universe": min(chosen.values),
        }
    is_of_it = not chosen.instrument_ids or instrument_id in chosen.instrument_ids
    place = "" if is_of_it else f"; {instrument_id} is none of them and was held from before"
    return LineageNode(kind="universe", title=f"universe: {chosen.rule}{place}", facts=facts)
