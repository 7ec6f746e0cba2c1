"""What the numbers of Interactive Brokers' messages mean for an order and for a connection.

From the broker's list of message codes; a number that is not in it ends nothing.
"""

from enum import Enum


class Meaning(Enum):
    """What follows from a message."""

    REFUSED = "refused"  # the order it names is not at the broker, or no longer
    CANCELLED = "cancelled"  # the order was cancelled
    REFUSED_IF_NEW = "refused_if_new"  # a new order is not taken; a working one stands as it was
    NOTHING = "nothing"  # the order stands as the broker says by its status
    UPSTREAM_LOST = "upstream_lost"
    DATA_LOST = "data_lost"  # the way is back; subscriptions must be made again
    DATA_KEPT = "data_kept"  # the way is back with all subscriptions
    FARM_DOWN = "farm_down"
    FARM_UP = "farm_up"
    TOO_FAST = "too_fast"  # asked too often: ask again later
    NOT_SUBSCRIBED = "not_subscribed"  # no right to these data


_REFUSED = (200, 201, 203, 461, 463, 10052, 10243, 10244, 10318)
# 103 and 105 mean that an id was taken, 110 a price off the grid, 321 a wrong field, 387 to 460
# a kind, a size or a right that is checked when an order comes: of an order that works they refuse
# a change alone. 104, 161, 10147 and 10148 say that a change or a cancel came too late or too
# early, never what became of the order; 404 that it is held until shares to borrow are found.
_REFUSED_IF_NEW = (
    *(103, 105, 106, 107, 109, 110, 111, 113, 116, 125, 132, 133, 135, 144, 145, 146, 163, 168),
    *(321, 322, 325, 329, 383, 387, 388, 391, 392, 402, 403, 406, 411, 412, 421, 422, 434, 435),
    *(436, 437, 439, 441, 442, 460),
)
_MEANINGS: dict[int, Meaning] = {
    **dict.fromkeys(_REFUSED, Meaning.REFUSED),
    **dict.fromkeys(_REFUSED_IF_NEW, Meaning.REFUSED_IF_NEW),
    202: Meaning.CANCELLED,
    1100: Meaning.UPSTREAM_LOST,
    2110: Meaning.UPSTREAM_LOST,
    1101: Meaning.DATA_LOST,
    1102: Meaning.DATA_KEPT,
    **dict.fromkeys((2103, 2105, 2157), Meaning.FARM_DOWN),
    **dict.fromkeys((2104, 2106, 2107, 2108, 2158), Meaning.FARM_UP),
    **dict.fromkeys((100, 420), Meaning.TOO_FAST),
    **dict.fromkeys((354, 10089, 10090, 10168, 10186, 10197), Meaning.NOT_SUBSCRIBED),
}
UNKNOWN_ORDER = (135, 10147)  # there is no such order
# Said of an order that is taken all the same: held, made smaller, given another time in force.
_WARNINGS = (399, 404, 481, 10349)
_PACING_WORDS = "pacing violation"


def meaning_of(code: int, text: str = "") -> Meaning:
    """Return what a message means; 162 is told apart by its words."""
    if code == 162 and _PACING_WORDS in text.lower():
        return Meaning.TOO_FAST
    return _MEANINGS.get(code, Meaning.NOTHING)


def is_warning(code: int) -> bool:
    """Return whether a number about an order says nothing against it."""
    kind = _MEANINGS.get(code)
    return code in _WARNINGS or 2100 <= code < 2200 or kind is Meaning.NOT_SUBSCRIBED
