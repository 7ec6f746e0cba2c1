"""Changes that somebody else made to the warm tier's tables in PostgreSQL, noted by the server.

A statement that changes rows of a table, its months or the catalogue fires a trigger, which counts
it unless it comes from our own sessions. So a read asks for one small line, and what was written is
compared with its hashes only where that line says that somebody was there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from adapters.stores.postgres_tables import SEGMENT, Connection
from adapters.stores.segments import TierCorruptionError

CATALOGUE = "segments"
_TRIGGER = "apiary_touched"
_OURS = "apiary.mover"  # a setting of our sessions

_NOTES = """
CREATE TABLE IF NOT EXISTS {touched} (
    relation text PRIMARY KEY,
    times bigint NOT NULL,
    proven bigint NOT NULL DEFAULT 0
);
CREATE FUNCTION {note}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF current_setting('apiary.mover', true) IS DISTINCT FROM 'on' THEN
        INSERT INTO {touched} AS t (relation, times) VALUES (TG_TABLE_NAME, 1)
        ON CONFLICT (relation) DO UPDATE SET times = t.times + 1;
    END IF;
    RETURN NULL;
END $$
"""
# What has no trigger yet: tables from before there were any, and what was just made.
_BARE = """
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE nspname = %s AND relkind IN ('r', 'p') AND relname <> 'touched'
  AND NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = c.oid AND tgname = %s)
"""


@dataclass(frozen=True, slots=True)
class Touch:
    """A relation that somebody changed, so many times."""

    relation: str
    times: int


class Touches:
    """The counts of one schema. Every call is made inside the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._touched = sql.Identifier(schema, "touched")
        self._note = sql.Identifier(schema, "note_touch")

    def install(self, connection: Connection) -> None:
        """Say that this session is ours, and make what counts the statements of others."""
        connection.execute("SELECT set_config(%s, 'on', false)", (_OURS,))
        known = "SELECT to_regprocedure(%s)"
        made = connection.execute(known, (f'"{self._schema}".note_touch()',)).fetchone()
        if made is None or made[0] is None:
            notes = sql.SQL(_NOTES).format(touched=self._touched, note=self._note)
            connection.execute(notes)
        self.watch(connection)

    def watch(self, connection: Connection) -> None:
        """Put a trigger on every table that has none."""
        statement = sql.SQL(
            "CREATE TRIGGER {} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {}"
            " FOR EACH STATEMENT EXECUTE FUNCTION {}()"
        )
        for (relation,) in connection.execute(_BARE, (self._schema, _TRIGGER)).fetchall():
            name = sql.Identifier(self._schema, str(relation))
            connection.execute(statement.format(sql.Identifier(_TRIGGER), name, self._note))

    def due(self, connection: Connection, table: str) -> list[Touch]:
        """Return what of a table, or of the catalogue, was changed since it was last proven."""
        query = sql.SQL("SELECT relation, times FROM {} WHERE times > proven")
        found = connection.execute(query.format(self._touched)).fetchall()
        touches = [Touch(str(relation), int(str(times))) for relation, times in found]
        return [t for t in touches if t.relation.partition("__")[0] in (table, CATALOGUE)]

    def note_proven(self, connection: Connection, touches: Iterable[Touch]) -> None:
        """Note that all is as it was written, as of these counts."""
        query = sql.SQL("UPDATE {} SET proven = %s WHERE relation = %s AND proven < %s")
        for touch in touches:
            given = (touch.times, touch.relation, touch.times)
            connection.execute(query.format(self._touched), given)

    def require_lines(self, connection: Connection, relations: Iterable[str]) -> None:
        """Raise TierCorruptionError where rows are of no segment of the catalogue."""
        segments = sql.Identifier(self._schema, CATALOGUE)
        query = sql.SQL(
            "SELECT count(*) FROM {} r WHERE NOT EXISTS (SELECT 1 FROM {} s WHERE s.id = r."
            + SEGMENT
            + ")"
        )
        for relation in relations:
            asked = query.format(sql.Identifier(self._schema, relation), segments)
            row = connection.execute(asked).fetchone()
            if row is not None and row[0]:
                raise TierCorruptionError(
                    f"every row of {relation} in PostgreSQL must be of a segment, {row[0]} are of "
                    "none: somebody changed rows or the catalogue of segments"
                )
