"""When records were written: the machine's clock at each append, kept beside the chain.

An event's own time may be the market's of years ago; a person who asks for a log as of a moment
means when it was written. The times are in no hash: a copy of the log takes them along.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import LiteralString

from adapters.stores.event_log_appends import Request, Run, Written

# Records from before there were times are in none of its lines.
SCHEMA: LiteralString = """
create table if not exists written (
    first bigint primary key,
    last bigint not null,
    time_ns bigint not null
);
"""
# SQLite keeps an index of its own, a page more to write, for a key that is not called `integer`.
SQLITE_SCHEMA: LiteralString = SCHEMA.replace("bigint", "integer")


# The lines of a span: from the one that begins last before it, as they do not overlap.
QUERY: LiteralString = (
    "select first, last, time_ns from written where first <= %s and first >= "
    "(select coalesce(max(first), 0) from written where first <= %s) order by first"
)


def written_now(request: Request, fresh: Run, now_ns: int) -> Iterator[Written]:
    """Yield what is to be noted of a request's new rows: what it tells itself, or that it is now.

    A copy tells the times of the original; where that has none, neither has the copy.
    """
    if request.written is not None:
        yield from request.written
    elif fresh:
        yield Written(fresh.first, fresh.last, now_ns)


def parts(rows: Iterable[Sequence[int]], after: int, through: int) -> list[Written]:
    """Return what lines from a store say of the records after..through, the first not included."""
    return [
        Written(max(first, after + 1), min(last, through), time_ns)
        for first, last, time_ns in rows
        if last > after
    ]
