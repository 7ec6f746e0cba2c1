"""DuckDB over lazy frames: what a query asks reaches the files, and it reaches nothing else."""

from collections.abc import Mapping

import duckdb
import polars as pl


def answer(query: str, tables: Mapping[str, pl.LazyFrame]) -> pl.DataFrame:
    """Return the answer of one query over these tables; ValueError where it is refused."""
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
        except duckdb.Error as error:
            raise ValueError(" ".join(str(error).split())) from error
