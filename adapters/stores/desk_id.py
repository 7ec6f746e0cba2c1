"""Who a desk is to servers that several desks share: a name that is drawn once and kept."""

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.stores.postgres_address import PostgresAddress

_FILE = "desk.id"
_ID = re.compile(r"^[0-9a-f]{12}$")
# Every home whose log is this database is one desk: the first to come says its name.
_POSTGRES = """
select pg_advisory_xact_lock(hashtext('apiary'));
create schema if not exists apiary;
create table if not exists apiary.desk (
    only_row integer primary key default 1 check (only_row = 1), id text not null
);
"""


def home_id(home: Path) -> str:
    """Return the name of the desk of a home, drawn where it has none yet.

    It is a file of the home, so a backup holds it. Raises ValueError where it is not what was
    written.
    """
    path = home / _FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{_FILE}.{os.getpid()}.{secrets.token_hex(4)}.part")
        part.write_text(secrets.token_hex(6))
        try:
            os.link(part, path)  # whole or not at all, and the first of two wins
        except FileExistsError:
            pass
        finally:
            part.unlink()
    text = path.read_text().strip()
    if not _ID.match(text):
        raise ValueError(f"{path} must hold 12 hexadecimal digits, does not")
    return text


def shared_id(home: Path, postgres: "PostgresAddress") -> str:
    """Return the name of the desk whose log is in this database: all its homes have the one.

    Raises OSError in one line where the database does not answer.
    """
    import psycopg

    own = home_id(home)
    try:
        with postgres.connect("apiary desk") as db, db.transaction():
            db.execute(_POSTGRES)
            db.execute("insert into apiary.desk (id) values (%s) on conflict do nothing", (own,))
            row = db.execute("select id from apiary.desk").fetchone()
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise OSError(f"the desk's name must be read from {postgres}, was not: {said}") from error
    return str(row[0]) if row else own
