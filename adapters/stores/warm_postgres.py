"""The warm tier in PostgreSQL: segments go in by COPY, and queries by time open few partitions."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import polars as pl
import psycopg
from polars.io.plugins import register_io_source
from psycopg import sql

from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.postgres_copy import copy_in, copy_out, described, schema_of
from adapters.stores.postgres_tables import (
    SEGMENT,
    Connection,
    drop_empty_month,
    partition_name,
    prepare,
    relation_name,
    relations_of,
)
from adapters.stores.postgres_touches import CATALOGUE, Touch, Touches
from adapters.stores.segments import (
    Segment,
    SegmentGoneError,
    TierCorruptionError,
    checked,
    cut,
    read_each,
    span,
)

_CATALOGUE = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {segments} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    content_hash text NOT NULL,
    relation text NOT NULL,
    month date,
    row_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    first timestamptz,
    last timestamptz,
    columns jsonb NOT NULL,
    UNIQUE (table_name, content_hash)
)
"""


class WarmStoreUnavailableError(OSError):
    """PostgreSQL did not answer in time or refused; nothing may be assumed of the write."""


class PostgresWarmStore:
    """Tables as partitions of a month (hypertables where TimescaleDB is) in one schema.

    A segment and its line in the catalogue are one transaction, so that a crash of either side
    leaves all of it or nothing, and written twice it is there once. A statement that takes longer
    than `timeout_s` is given up.
    """

    tier = "warm"
    on_server = True

    def __init__(
        self, address: PostgresAddress, *, schema: str = "apiary_warm", timeout_s: float = 60.0
    ) -> None:
        if not 0 < timeout_s <= 3600:
            raise ValueError(f"timeout_s must be in (0, 3600], was {timeout_s}")
        self._address = address
        self._schema = schema
        self._timeout_s = timeout_s
        self._segments = sql.Identifier(schema, "segments")
        self._connection: Connection | None = None
        self._touches = Touches(schema)
        self._sound: dict[str, int] = {}  # tables that are whole as of a count of the catalogue

    def write(self, table: str, rows: pl.DataFrame) -> tuple[Segment, ...]:
        """Add the rows in one segment per month, all or none, and return the segments."""
        parts = cut(table, rows)
        with self._transaction() as connection:
            _lock(connection, self._schema, table)
            return tuple(self._write(connection, table, digest, part) for digest, part in parts)

    def _write(
        self, connection: Connection, table: str, digest: str, part: pl.DataFrame
    ) -> Segment:
        first, last = span(part)
        dated = "event_time" in part.columns and part["event_time"].null_count() == 0
        month = date(first.year, first.month, 1) if dated and first is not None else None
        relation = relation_name(table, month)
        columns = described(part.schema)
        size = int(part.estimated_size())
        made = connection.execute(
            sql.SQL(
                "INSERT INTO {} (table_name, content_hash, relation, month, row_count, byte_count,"
                " first, last, columns) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING RETURNING id"
            ).format(self._segments),
            (table, digest, relation, month, part.height, size, first, last, json.dumps(columns)),
        ).fetchone()
        if made is not None:
            prepare(connection, self._schema, relation, columns, month)
            self._touches.watch(connection)
            self._copy(connection, relation, month, part, int(str(made[0])))
        return Segment(table, digest, part.height, size, first, last)

    def _copy(
        self,
        connection: Connection,
        relation: str,
        month: date | None,
        part: pl.DataFrame,
        segment_id: int,
    ) -> None:
        # Straight into the month's partition where there is one: no routing of rows.
        name = relation if month is None else partition_name(relation, month)
        query = "SELECT to_regclass(%s) IS NOT NULL"
        found = connection.execute(query, (f'"{self._schema}"."{name}"',)).fetchone()
        target = sql.Identifier(self._schema, name if found and found[0] else relation)
        stamped = part.with_columns(pl.lit(segment_id).alias(SEGMENT))
        copy_in(connection, target, stamped, [SEGMENT, *part.columns])

    def segments(self, table: str) -> tuple[Segment, ...]:
        """Return the segments of a table in the order of their names."""
        with self._transaction() as connection:
            return tuple(row[0] for row in self._rows(connection, table))

    def _rows(
        self, connection: Connection, table: str
    ) -> list[tuple[Segment, int, str, pl.Schema]]:
        query = sql.SQL(
            "SELECT content_hash, row_count, byte_count, first, last, id, relation, columns"
            " FROM {} WHERE table_name = %s ORDER BY content_hash"
        ).format(self._segments)
        found: list[tuple[Segment, int, str, pl.Schema]] = []
        for row in connection.execute(query, (table,)):
            digest, count, size, first, last, number, relation, columns = row
            segment = Segment(table, digest, count, size, first, last)  # type: ignore[arg-type]  # typed by the table
            found.append((segment, number, relation, schema_of(columns)))  # type: ignore[arg-type]  # the same
        return found

    def prove(self, table: str) -> None:
        """Compare every segment of a table with its hash where somebody else changed rows.

        Raises TierCorruptionError, which names it. The server's own disks are trusted.
        """
        if self._due(table):
            for _, reason in self.damages(table):
                raise TierCorruptionError(f"somebody changed {table} in PostgreSQL: {reason}")

    def damages(self, table: str) -> Iterator[tuple[str, str]]:
        """Read every segment; yield (name, reason) of those that are not what was written."""
        with self._transaction() as connection:
            due = self._touches.due(connection, table)
        found = list(self._look(table))
        yield from found
        if due and not found:
            self._note_sound(table, due)

    def _look(self, table: str) -> Iterator[tuple[str, str]]:
        yield from read_each(self, table)
        try:
            with self._transaction() as connection:
                relations = relations_of(connection, self._schema, table)
                self._touches.require_lines(connection, relations)
        except TierCorruptionError as error:
            yield CATALOGUE, str(error)

    def _due(self, table: str) -> list[Touch]:
        """Return what of the table was changed since it was proven, by this process or another."""
        with self._transaction() as connection:
            due = self._touches.due(connection, table)
        return [t for t in due if t.relation != CATALOGUE or self._sound.get(table) != t.times]

    def _note_sound(self, table: str, due: Sequence[Touch]) -> None:
        """Note that a table is whole; the catalogue is where all of its tables are."""
        proven = [t for t in due if t.relation != CATALOGUE]
        for touch in due:
            if touch.relation == CATALOGUE:
                self._sound[table] = touch.times
                if all(self._sound.get(other) == touch.times for other in self.tables()):
                    proven.append(touch)
        with self._transaction() as connection:
            self._touches.note_proven(connection, proven)

    def read_segment(self, segment: Segment) -> pl.DataFrame:
        """Return the rows of a segment, verified; KeyError where it is not there."""
        with self._transaction() as connection:
            for found, number, relation, schema in self._rows(connection, segment.table):
                if found.content_hash == segment.content_hash:
                    rows = self._fetch(connection, [(number, relation)], schema)
                    return checked(segment, rows)
        raise KeyError(f"the warm tier has no segment {segment.content_hash} of {segment.table}")

    def _fetch(
        self,
        connection: Connection,
        parts: Sequence[tuple[int, str]],
        schema: pl.Schema,
        where: sql.Composable | None = None,
    ) -> pl.DataFrame:
        """Return the rows of these segments (id, relation), one query for each relation."""
        names = sql.SQL(", ").join(map(sql.Identifier, schema.names()))
        frames: list[pl.DataFrame] = []
        for relation in sorted({r for _, r in parts}):
            numbers = [n for n, r in parts if r == relation]
            query = sql.SQL("SELECT {} FROM {} WHERE " + SEGMENT + " = ANY({}::bigint[]) {}")
            frames.append(
                copy_out(
                    connection,
                    query.format(
                        names,
                        sql.Identifier(self._schema, relation),
                        sql.Literal(numbers),
                        where or sql.SQL(""),
                    ),
                    schema,
                )
            )
        return pl.concat(frames) if frames else schema.to_frame()

    def scan(
        self,
        table: str,
        segments: Sequence[Segment],
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        instrument_ids: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Return rows of these segments, asked of the server when the frame is collected.

        Only the columns that the plan needs travel; time and instruments are the server's to
        filter, any other condition is ours.
        """
        wanted = {s.content_hash for s in segments}
        with self._transaction() as connection:
            found = [r for r in self._rows(connection, table) if r[0].content_hash in wanted]
        schema = pl.Schema({n: t for *_, part in found for n, t in part.items()})
        parts = [(number, relation) for _, number, relation, _ in found]
        where = _where(schema, start, end, instrument_ids)
        told = None if where.as_string() else sum(segment.row_count for segment, *_ in found)

        def fetch(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            needed = predicate.meta.root_names() if predicate is not None else []
            names = [c for c in schema if columns is None or c in columns or c in needed]
            part = pl.Schema({c: schema[c] for c in names or list(schema)[:1]})
            rows = self._fetch_all(table, parts, part, where)
            if told is not None and rows.height != told:
                raise TierCorruptionError(
                    f"{table} must have {told} rows in PostgreSQL, has {rows.height}: "
                    "`apiary tiers verify` names the segments"
                )
            rows = rows if predicate is None else rows.filter(predicate)
            rows = rows if limit is None else rows.head(limit)
            yield rows if columns is None else rows.select(columns)

        return register_io_source(fetch, schema=schema)

    def _fetch_all(
        self,
        table: str,
        parts: Sequence[tuple[int, str]],
        schema: pl.Schema,
        where: sql.Composable,
    ) -> pl.DataFrame:
        """Return the rows of segments that are there before and after they were read.

        A row goes in one transaction with its segment's line. Raises SegmentGoneError.
        """
        numbers = [number for number, _ in parts]
        count = sql.SQL("SELECT count(*) FROM {} WHERE id = ANY(%s)").format(self._segments)
        with self._transaction() as connection:
            try:
                rows = self._fetch(connection, parts, schema, where)
                left = connection.execute(count, (numbers,)).fetchone()
            except psycopg.errors.UndefinedTable as error:  # its month was dropped
                raise SegmentGoneError(f"{table} has left the warm tier") from error
        if left is None or left[0] != len(numbers):
            raise SegmentGoneError(f"segments of {table} have left the warm tier")
        return rows

    def remove(self, table: str, segments: Iterable[Segment]) -> None:
        """Remove these segments; a month that holds no other one is dropped, not emptied."""
        with self._transaction() as connection:
            _lock(connection, self._schema, table)
            for segment in segments:
                self._remove(connection, segment)

    def _remove(self, connection: Connection, segment: Segment) -> None:
        gone = connection.execute(
            sql.SQL(
                "DELETE FROM {} WHERE table_name = %s AND content_hash = %s"
                " RETURNING id, relation, month"
            ).format(self._segments),
            (segment.table, segment.content_hash),
        ).fetchone()
        if gone is None:
            return
        number, relation, month = gone
        assert isinstance(relation, str)
        left = connection.execute(
            sql.SQL(
                "SELECT count(*) FROM {} WHERE relation = %s AND month IS NOT DISTINCT FROM %s"
            ).format(self._segments),
            (relation, month),
        ).fetchone()
        name = sql.Identifier(self._schema, relation)
        if left == (0,) and isinstance(month, date):
            drop_empty_month(connection, self._schema, relation, month)
        delete = sql.SQL("DELETE FROM {} WHERE " + SEGMENT + " = %s").format(name)
        connection.execute(delete, (number,))

    def tables(self) -> tuple[str, ...]:
        query = sql.SQL("SELECT DISTINCT table_name FROM {} ORDER BY 1").format(self._segments)
        with self._transaction() as connection:
            return tuple(str(row[0]) for row in connection.execute(query))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Give a connection in a transaction, a new one where the server has been away."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            with self._connection.transaction():
                yield self._connection
        except psycopg.DataError as error:
            raise ValueError(f"PostgreSQL cannot keep these rows: {_line(error)}") from error
        except psycopg.Error as error:
            self.close()
            raise WarmStoreUnavailableError(f"PostgreSQL failed: {_line(error)}") from error

    def _connect(self) -> Connection:
        connection: Connection = self._address.connect("apiary warm tier")
        for name, value in (
            ("statement_timeout", f"{round(self._timeout_s * 1000)}"),
            ("timezone", "UTC"),
            ("datestyle", "ISO"),
        ):
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        made = sql.SQL(_CATALOGUE).format(
            schema=sql.Identifier(self._schema), segments=self._segments
        )
        with connection.transaction():
            _lock(connection, self._schema, "")  # two that start at once make the schema once
            connection.execute(made)
            self._touches.install(connection)
        return connection


def _lock(connection: Connection, schema: str, table: str) -> None:
    """Queue for a table until the end of the transaction, which the death of the holder is."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{schema}.{table}",)
    )


def _where(
    schema: pl.Schema,
    start: datetime | None,
    end: datetime | None,
    instrument_ids: Sequence[str] | None,
) -> sql.Composable:
    parts: list[sql.Composable] = []
    if start is not None:
        parts.append(sql.SQL("AND event_time >= {}").format(sql.Literal(start)))
    if end is not None:
        parts.append(sql.SQL("AND event_time < {}").format(sql.Literal(end)))
    if instrument_ids is not None:
        ids = sql.Literal(list(instrument_ids))
        parts.append(sql.SQL("AND instrument_id = ANY({}::text[])").format(ids))
    asked_for = ({"event_time"} if start or end else set()) | (
        set() if instrument_ids is None else {"instrument_id"}
    )
    missing = asked_for - set(schema)
    if schema and missing:
        raise ValueError(f"a table that is asked by {sorted(missing)} must have them")
    return sql.SQL(" ").join(parts)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
