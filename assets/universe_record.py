"""The universe of a desk as the event log tells it."""

from datetime import UTC, datetime

from features.universe import Universe
from swarm_core.events import UniverseChosen, make_event_id

_WHOLE = "all of its market"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def find_news(
    universe: Universe | None, told: UniverseChosen | None, session: str, time_ns: int
) -> UniverseChosen | None:
    """Return what is to be put on record before a session is decided, None where it is `told`.

    A desk that has always decided on its whole market has nothing to tell.
    """
    if universe is None and told is None:
        return None
    rule, ids, values, as_of_ns = _WHOLE, (), (), 0
    if universe is not None:
        rule, ids, values = universe.rule, universe.newest, universe.values
        as_of_ns = max(0, (universe.spans[-1][0] - _EPOCH).days * 86_400 * 10**9)
    if told is not None and (told.rule, told.instrument_ids) == (rule, ids):
        return None
    return UniverseChosen(
        event_id=make_event_id("UniverseChosen", session, rule, *ids),
        time_ns=time_ns,
        rule=rule,
        chosen_as_of_ns=as_of_ns,
        instrument_ids=ids,
        values=values,
    )
