"""DuckDB over lazy frames: what a query asks reaches the files, and it reaches nothing else."""

import re
from collections.abc import Mapping, Sequence

import duckdb
import polars as pl


def answer(
    query: str, tables: Mapping[str, pl.LazyFrame], *, known: Sequence[str] = ()
) -> pl.DataFrame:
    """Return the answer of one query over these tables; ValueError where it is refused.

    `known` are the tables that a query could have named, for the refusal to tell.
    """
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET python_enable_replacements = false")
        for name, rows in tables.items():
            connection.register(name, rows)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            found = connection.sql(query)
            if found is None:
                raise ValueError(f"it must be a query that has an answer, was {query!r}")
            return pl.DataFrame(found.to_arrow_table())
        except duckdb.CatalogException as error:
            missing = re.search(r"Table with name (\S+) does not exist", str(error))
            if missing is None or not known:
                raise ValueError(" ".join(str(error).split())) from error
            raise ValueError(
                f"the table must be one of {', '.join(known)}, was {missing[1]}"
            ) from error
        except duckdb.Error as error:
            # What a table itself refused, without the way that it came.
            text = re.sub(r"^.*? from the object registered as '\w+' failed: \w+: ", "", str(error))
            raise ValueError(" ".join(text.split())) from error
