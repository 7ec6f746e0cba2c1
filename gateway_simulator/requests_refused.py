"""Requests for what this account may not have: each gets an error, so that nobody waits."""

from gateway_simulator.error_codes import Code
from gateway_simulator.message_ids import In
from gateway_simulator.session import NO_REQUEST, Handler, Session
from gateway_simulator.wire import Fields

_ADVISORS_ONLY = "FA data operations ignored for non FA customers."


def req_fundamentals(session: Session, fields: Fields) -> None:
    fields.text()  # version
    session.error(fields.whole(), Code.NO_FUNDAMENTALS)


def req_calendar(session: Session, fields: Fields) -> None:
    """Refuse the calendar of corporate events, Wall Street Horizon: it must be subscribed to."""
    session.error(fields.whole(), Code.NO_NEWS_FEED)


def req_advisor(session: Session, _: Fields) -> None:
    session.error(NO_REQUEST, Code.VALIDATING, request="cb", reason=_ADVISORS_ONLY)


def replace_advisor(session: Session, fields: Fields) -> None:
    fields.skip(3)  # version, kind, the text
    request_id = fields.whole(default=NO_REQUEST)
    session.error(request_id, Code.VALIDATING, request="cb", reason=_ADVISORS_ONLY)


def exercise_options(session: Session, fields: Fields) -> None:
    """Refuse to exercise: options here end worthless or are closed."""
    fields.text()  # version
    session.error(fields.whole(), Code.PROCESSING, reason="Options cannot be exercised here.")


def ignore_cancel(_: Session, __: Fields) -> None:
    """Hear that a refused request is cancelled."""


HANDLERS: dict[In, Handler] = {
    In.REQ_FUNDAMENTALS: req_fundamentals,
    In.CANCEL_FUNDAMENTALS: ignore_cancel,
    In.REQ_CALENDAR_KINDS: req_calendar,
    In.CANCEL_CALENDAR_KINDS: ignore_cancel,
    In.REQ_CALENDAR_EVENTS: req_calendar,
    In.CANCEL_CALENDAR_EVENTS: ignore_cancel,
    In.REQ_ADVISOR: req_advisor,
    In.REPLACE_ADVISOR: replace_advisor,
    In.EXERCISE_OPTIONS: exercise_options,
}
