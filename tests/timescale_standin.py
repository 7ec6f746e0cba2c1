"""An extension named timescaledb for a server that cannot have the real one.

Its functions have the signatures of TimescaleDB 2, so that what the store says must be what the
real ones take; chunks are counted off the rows. It proves our statements, not TimescaleDB:
`APIARY_TEST_TIMESCALE_URL` holds the same tests to a real one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.services import PostgresService, postgres_server

_CONTROL = "default_version = '2.0'\ncomment = 'a stand-in'\nrelocatable = false\n"
_FUNCTIONS = """
CREATE TABLE _hypertables (relation regclass PRIMARY KEY, step interval NOT NULL);

CREATE FUNCTION create_hypertable(
    relation regclass, time_column_name name, partitioning_column name = NULL,
    number_partitions integer = NULL, associated_schema_name name = NULL,
    associated_table_prefix name = NULL, chunk_time_interval anyelement = NULL::bigint,
    create_default_indexes boolean = TRUE, if_not_exists boolean = FALSE
) RETURNS TABLE (hypertable_id int, schema_name name, table_name name, created bool)
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_partitioned_table WHERE partrelid = relation)
    THEN RAISE 'table % is already partitioned', relation; END IF;
    EXECUTE format('SELECT %I FROM %s LIMIT 0', time_column_name, relation);
    INSERT INTO @extschema@._hypertables VALUES (relation, chunk_time_interval);
    RETURN QUERY SELECT 1, ''::name, relation::text::name, true;
END $$;

CREATE FUNCTION show_chunks(relation regclass) RETURNS SETOF timestamptz LANGUAGE plpgsql AS $$
DECLARE step interval = (SELECT h.step FROM @extschema@._hypertables h WHERE h.relation = $1);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT DISTINCT date_bin(%L, event_time, ''epoch'') FROM %s ORDER BY 1', step, relation);
END $$;

CREATE FUNCTION drop_chunks(
    relation regclass, older_than anyelement = NULL::timestamptz, verbose boolean = FALSE
) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    step interval = (SELECT h.step FROM @extschema@._hypertables h WHERE h.relation = $1);
    chunk timestamptz;
BEGIN
    FOR chunk IN SELECT * FROM @extschema@.show_chunks(relation) c WHERE c + step <= older_than LOOP
        EXECUTE format('DELETE FROM %s WHERE date_bin(%L, event_time, ''epoch'') = %L',
                       relation, step, chunk);
        RETURN NEXT chunk::text;
    END LOOP;
END $$;

CREATE FUNCTION time_bucket(bucket_width interval, ts timestamptz) RETURNS timestamptz
LANGUAGE sql AS $$ SELECT date_bin(bucket_width, ts, 'epoch') $$;
"""


@contextmanager
def timescale_server() -> Iterator[PostgresService]:
    """Run a PostgreSQL server whose database has the extension."""

    def equipped(folder: Path) -> list[str]:
        extension = folder / "extension"
        extension.mkdir()
        (extension / "timescaledb.control").write_text(_CONTROL)
        (extension / "timescaledb--2.0.sql").write_text(_FUNCTIONS)
        return ["-c", f"extension_control_path={folder}:$system"]

    with postgres_server(equipped=equipped) as server:
        with psycopg.connect(server.url, autocommit=True) as hand:
            hand.execute("CREATE EXTENSION timescaledb")
        yield server
