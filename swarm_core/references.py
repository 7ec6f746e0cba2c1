"""All that the gate and the sizing look at beside the book, and its trace in the log."""

from collections.abc import Mapping
from dataclasses import dataclass

from swarm_core.book import Book
from swarm_core.events import ReferencesTaken, make_event_id
from swarm_core.instruments import Instrument
from swarm_core.market import Quote
from swarm_core.risk.context import RiskContext, measure
from swarm_core.risk.limits import RiskLimits
from swarm_core.sizing_settings import SizingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """Quotes, instruments, limits and settings at one moment."""

    time_ns: int
    quotes: Mapping[str, Quote]
    instruments: Mapping[str, Instrument]
    limits: RiskLimits
    sizing: SizingSettings
    located: frozenset[str]

    def measure(self, book: Book) -> RiskContext:
        return measure(
            book=book,
            quotes=self.quotes,
            instruments=self.instruments,
            limits=self.limits,
            time_ns=self.time_ns,
            located=self.located,
        )

    def taken(self, decision_id: str, sequence: int) -> ReferencesTaken:
        """Return the event that lets a replay measure the same again.

        `sequence` is the log's last record: the same decision may be resumed many times.
        """
        return ReferencesTaken(
            event_id=make_event_id("ReferencesTaken", decision_id, sequence),
            time_ns=self.time_ns,
            correlation_id=decision_id,
            decision_id=decision_id,
            quotes=tuple(self.quotes[i] for i in sorted(self.quotes)),
            instruments=tuple(self.instruments[i] for i in sorted(self.instruments)),
            limits=self.limits,
            sizing=self.sizing,
            located=self.located,
        )

    @classmethod
    def of(cls, event: ReferencesTaken) -> "References":
        return cls(
            time_ns=event.time_ns,
            quotes={q.instrument_id: q for q in event.quotes},
            instruments={i.instrument_id: i for i in event.instruments},
            limits=event.limits,
            sizing=event.sizing,
            located=event.located,
        )
