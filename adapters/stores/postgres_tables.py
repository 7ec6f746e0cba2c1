"""Tables of the warm tier in PostgreSQL: hypertables, or partitions of a month that we make."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import psycopg
from psycopg import sql

from adapters.stores.postgres_copy import column_type

Connection = psycopg.Connection[tuple[object, ...]]
SEGMENT = "_segment"  # the column that says which segment a row is of; it never leaves the store
_UNDATED = "__undated"  # rows without event_time lie in a table of their own
_NAME_BYTES = 40  # PostgreSQL cuts names after 63, and partitions add to them


def relation_name(table: str, month: date | None) -> str:
    """Return the relation that holds rows of a table; months are its partitions.

    Raises ValueError where the name is none for a table.
    """
    plain = table.replace("_", "").isalnum() and table.isascii() and table[:1].isalpha()
    if not plain or table != table.lower() or len(table) > _NAME_BYTES:
        raise ValueError(
            f"a table's name must be lower_snake_case of at most {_NAME_BYTES}, was {table!r}"
        )
    return table if month is not None else table + _UNDATED


def relations_of(connection: Connection, schema: str, table: str) -> list[str]:
    """Return the relations that hold rows of a table, without their partitions."""
    names = (table, table + _UNDATED)
    return [name for name in names if _exists(connection, schema, name)]


def has_timescale(connection: Connection) -> bool:
    """Return whether this database has TimescaleDB, whatever its edition."""
    query = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    return connection.execute(query).fetchone() is not None


def prepare(
    connection: Connection,
    schema: str,
    relation: str,
    columns: Iterable[Sequence[str]],
    month: date | None,
) -> None:
    """Make the relation, its columns and the partition of the month, where they are not there."""
    dated = month is not None
    name = sql.Identifier(schema, relation)
    if not _exists(connection, schema, relation):
        _create(connection, schema, relation, dated)
    for column, type_name in columns:
        statement = "ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} " + column_type(type_name)
        connection.execute(sql.SQL(statement).format(name, sql.Identifier(column)))
    if month is not None and not _is_hypertable(connection, schema, relation):
        _create_partition(connection, schema, relation, month)


def _exists(connection: Connection, schema: str, relation: str) -> bool:
    query = "SELECT to_regclass(%s) IS NOT NULL"
    row = connection.execute(query, (f'"{schema}"."{relation}"',)).fetchone()
    return row is not None and bool(row[0])


def _create(connection: Connection, schema: str, relation: str, dated: bool) -> None:
    name = sql.Identifier(schema, relation)
    timescale = dated and has_timescale(connection)
    time = ", event_time timestamptz NOT NULL" if dated else ""
    partitions = " PARTITION BY RANGE (event_time)" if dated and not timescale else ""
    statement = "CREATE TABLE {} (" + SEGMENT + " bigint NOT NULL" + time + ")" + partitions
    connection.execute(sql.SQL(statement).format(name))  # type: ignore[arg-type]  # made of constants
    if timescale:
        made = sql.SQL(
            "SELECT create_hypertable({}::regclass, 'event_time',"
            " chunk_time_interval => INTERVAL '30 days', create_default_indexes => FALSE)"
        )
        connection.execute(made.format(sql.Literal(f'"{schema}"."{relation}"')))
    # Rows lie in the order of their segments, so that a block index of a few kilobytes finds one.
    index = sql.SQL("CREATE INDEX ON {} USING brin (" + SEGMENT + ") WITH (pages_per_range = 16)")
    connection.execute(index.format(name))
    if dated:
        index = sql.SQL("CREATE INDEX ON {} USING brin (event_time) WITH (pages_per_range = 16)")
        connection.execute(index.format(name))


def _is_hypertable(connection: Connection, schema: str, relation: str) -> bool:
    query = (
        "SELECT relkind <> 'p' FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = %s AND relname = %s"
    )
    row = connection.execute(query, (schema, relation)).fetchone()
    return row is not None and bool(row[0])


def partition_name(relation: str, month: date) -> str:
    """Return the name of a month's partition."""
    return f"{relation}__{month:%Y_%m}"


def _create_partition(connection: Connection, schema: str, relation: str, month: date) -> None:
    first = datetime(month.year, month.month, 1, tzinfo=UTC)
    following = month.year + month.month // 12, month.month % 12 + 1
    name = partition_name(relation, month)
    if _exists(connection, schema, name):
        return
    statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
        sql.Identifier(schema, name),
        sql.Identifier(schema, relation),
        sql.Literal(first),
        sql.Literal(datetime(*following, 1, tzinfo=UTC)),
    )
    connection.execute(statement)


def drop_empty_month(connection: Connection, schema: str, relation: str, month: date) -> None:
    """Drop the partition of a month none of whose segments is left.

    Of a hypertable every chunk is dropped that is older than the oldest segment left.
    """
    if not _is_hypertable(connection, schema, relation):
        name = sql.Identifier(schema, partition_name(relation, month))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        return
    oldest = connection.execute(
        sql.SQL("SELECT min(first) FROM {} WHERE relation = %s").format(
            sql.Identifier(schema, "segments")
        ),
        (relation,),
    ).fetchone()
    if oldest is not None and oldest[0] is not None:
        connection.execute(
            "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)",
            (f'"{schema}"."{relation}"', oldest[0]),
        )
