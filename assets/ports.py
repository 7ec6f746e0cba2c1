"""What assets need of the outside world; adapters fulfil these, `pipelines` supplies them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import polars as pl

from features.schemas import TABLES
from swarm_core.events import RecordedEvent
from swarm_core.frictions.venue import Venue
from swarm_core.instruments import Instrument
from swarm_core.live_view import LiveView, PheromoneField
from swarm_core.session import BarBroker
from swarm_core.trading import EventLog as EventLog  # the core owns this port


class WriteReceipt(Protocol):
    """What a write did: the table's new version and the rows that were new to it."""

    @property
    def table(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def inserted_row_count(self) -> int: ...
    @property
    def content_hash(self) -> str: ...


class Source(Protocol):
    """A place records come from."""

    @property
    def name(self) -> str: ...

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables (features.schemas.TABLES) that it has records for."""
        ...

    def fetch(self, table: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Return the records with start <= event_time < end, conforming to the table's schema.

        Raises features.schemas-shaped ValueError on records that cannot be read, OSError where
        the place cannot be reached. Every version known to the source is returned.
        """
        ...

    def instruments(self) -> pl.DataFrame:
        """Return the INSTRUMENTS rows of everything this source speaks about."""
        ...

    def rejected(self, table: str) -> pl.DataFrame:
        """Return the rows that could not be read, with reasons (QUARANTINE_COLUMNS).

        Rows of the kind missing_later were read and stay; a later delivery lacks them.
        """
        ...

    def left_out(self, table: str | None = None) -> Sequence[str]:
        """Return a line for what it has columns of and does not read, of one table or of all."""
        ...


class TableStore(Protocol):
    """Tables that only grow in versions; every read can be pinned and repeated."""

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        key: Sequence[str],
        ingested_at: datetime | None = None,
    ) -> WriteReceipt:
        """Add rows whose (key, knowledge_time, values) are not there yet; never change a row.

        Writing the same rows twice adds nothing and makes no new version. Values that changed
        under a stored knowledge time become a version known from `ingested_at` on.
        """
        ...

    def replace(
        self, table: str, rows: pl.DataFrame, *, start: datetime, end: datetime
    ) -> WriteReceipt:
        """Replace a derived table's rows with start <= event_time < end in one new version."""
        ...

    def read(
        self,
        table: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        known_by: datetime | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Return rows with start <= event_time < end and knowledge_time <= known_by.

        Raises KeyError where the table does not exist.
        """
        ...

    def exists(self, table: str) -> bool: ...

    def version(self, table: str) -> int: ...


class BrokerFactory(Protocol):
    """Opens the broker that the desk trades with, as the log says that it was left."""

    def __call__(
        self,
        instruments: Mapping[str, Instrument],
        events: Iterable[RecordedEvent],
        *,
        venue: Venue,
    ) -> BarBroker: ...


class HotStore(Protocol):
    """Small values that the next decision needs, durable once written."""

    def put(self, space: str, values: Mapping[str, bytes]) -> None: ...

    def find(self, space: str, key: str) -> bytes | None: ...

    def read(self, space: str) -> Mapping[str, bytes]: ...


class LiveBook(Protocol):
    """Shows a book to whoever watches; it never waits and never fails."""

    def show(self, view: LiveView) -> None: ...

    def show_field(self, field: PheromoneField) -> None: ...

    def settle(self) -> None:
        """Wait a bounded while until it is shown."""
        ...


class TierMove(Protocol):
    """Rows that left one tier after the next one was read back and hashed the same."""

    @property
    def table(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def row_count(self) -> int: ...


class TierDamage(Protocol):
    """A segment or a file that is not what was written."""

    @property
    def tier(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str: ...


class RowTiers(Protocol):
    """Rows of what happened, in the hot, warm and cold tiers at once."""

    def write(self, table: str, rows: pl.DataFrame) -> str:
        """Add the rows, return their content hash; the same rows again add nothing."""
        ...

    def demote(
        self, as_of: datetime, *, closed_until: datetime | None = None
    ) -> Sequence[TierMove]: ...

    def query(
        self, table: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """Return rows of every tier, each once; KeyError where no tier has the table."""
        ...

    def places(self) -> pl.DataFrame: ...

    def counted(self) -> pl.DataFrame:
        """Return (table, rows, distinct): rows in all tiers together, and different ones."""
        ...

    def damages(self) -> Sequence[TierDamage]:
        """Return what is not as it was written, anywhere."""
        ...


class TableUpkeep(Protocol):
    """What upkeep did to a table."""

    @property
    def table(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def removed_file_count(self) -> int: ...
    @property
    def kept_versions(self) -> Sequence[int]: ...


class TierUpkeep(Protocol):
    """Keeps the cold tier: compact, and free of what nobody can ask for."""

    def keep(self) -> Sequence[TableUpkeep]: ...

    def broken_pins(self) -> Sequence[str]:
        """Return the versions on record ("table@version") that have lost a file."""
        ...


class TableArchive(Protocol):
    """What lies in the archive of one table; sizes in bytes."""

    @property
    def table(self) -> str: ...
    @property
    def taken_count(self) -> int: ...
    @property
    def kept_count(self) -> int: ...
    @property
    def kept_bytes(self) -> int: ...
    @property
    def frozen_count(self) -> int: ...


class TierArchive(Protocol):
    """Keeps months of the cold tier that are old where storage is cheap."""

    def keep(self, as_of: datetime) -> Sequence[TableArchive]: ...

    def damages(self) -> Sequence[TierDamage]: ...


class FeatureStore(Protocol):
    """Feast, seen from the assets: offline rows, training sets, online rows."""

    def apply(self) -> Sequence[str]:
        """Register entities, views and services; return their names."""
        ...

    def write_offline(self, rows: pl.DataFrame, *, start: datetime, end: datetime) -> Path:
        """Replace the offline feature rows with start <= event_time < end."""
        ...

    def training_set(self, entities: pl.DataFrame, service: str) -> pl.DataFrame:
        """Return, for each (instrument_id, event_timestamp), the features known then."""
        ...

    def push_online(self, rows: pl.DataFrame) -> int:
        """Make the newest row per instrument readable online; return how many were written."""
        ...

    def online(self, instrument_ids: Sequence[str], service: str) -> pl.DataFrame:
        """Return one row per instrument, in the order asked; null where nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model version as the registry knows it."""

    name: str
    version: str
    stage: str  # "challenger", "champion" or "archived"
    card: Mapping[str, object]


class ModelRegistry(Protocol):
    """Versions of fitted models, immutable once registered."""

    def register(self, name: str, artifact: bytes, card: Mapping[str, object]) -> str:
        """Store the artifact and return its version; the same content gives the same version."""
        ...

    def load(self, name: str, version: str) -> bytes: ...

    def card(self, name: str, version: str) -> Mapping[str, object]: ...

    def find_stage(self, name: str, stage: str) -> str | None:
        """Return the version that holds the stage, or None."""
        ...

    def set_stage(self, name: str, version: str, stage: str, reason: str) -> None: ...

    def versions(self, name: str) -> Sequence[Mapping[str, object]]: ...


class SuiteOutcome(Protocol):
    @property
    def success(self) -> bool: ...
    @property
    def document_path(self) -> Path: ...
    @property
    def results(self) -> Sequence[Mapping[str, object]]: ...


class SuiteRunner(Protocol):
    """The expectation suites that people read."""

    def run(self, table: str, rows: pl.DataFrame) -> SuiteOutcome: ...

    def build_docs(self) -> Path: ...


class Notifier(Protocol):
    def notify(self, title: str, body: str) -> None: ...


class Clock(Protocol):
    """The time, as an argument: the system's in live use, a fixed one for past data."""

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table store's table that may not be there yet, read as empty until it is."""

    tables: TableStore
    name: str
    schema: Mapping[str, pl.DataType]

    def read(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        known_by: datetime | None = None,
    ) -> pl.DataFrame:
        """Return the rows, or an empty frame of the schema."""
        if not self.tables.exists(self.name):
            return pl.DataFrame(schema=dict(self.schema))
        return self.tables.read(self.name, start=start, end=end, known_by=known_by)


def clean_table(tables: TableStore, name: str) -> StoredTable:
    """Return the validated rows of a source table."""
    return StoredTable(tables, f"clean_{name}", TABLES[name].columns)


class Reporter(Protocol):
    """Writes the report and draws its pictures."""

    def write(
        self,
        tables: Mapping[str, pl.DataFrame],
        *,
        places: pl.DataFrame,
        model: Mapping[str, object],
        facts: Mapping[str, object],
    ) -> Path:
        """Write the page over these tables (named as in features.schemas_derived)."""
        ...

    def pictures(self, tables: Mapping[str, pl.DataFrame]) -> Mapping[str, bytes]:
        """Return every picture that the tables have rows for, as PNG bytes."""
        ...
