"""Which rows of a batch tell the store something that it did not know at their knowledge time."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

KNOWLEDGE_TIME = "knowledge_time"
# Where a row came from is its address, not what it says: a file that grew by a line says the same
# in all its other rows, though their numbers and the file's hash have changed.
ADDRESS_COLUMNS = ("source", "source_row")
# Nor is when a record is dated, where another name than its time is its key: news without a date is
# dated when it is seen, and would be new at each look.
TIME_COLUMNS = ("event_time", KNOWLEDGE_TIME)
_SERIES = "_series"


class SilentRevisionError(ValueError):
    """A record's values changed although its source says that it was known at the same time."""


def new_rows(
    stored: pl.DataFrame,
    batch: pl.DataFrame,
    key: Sequence[str],
    *,
    table: str,
    ingested_at: datetime | None = None,
) -> pl.DataFrame:
    """Return the batch's rows that must be added to the stored ones (same columns) under `key`.

    A `source` in the key counts by its data set, without the content hash after its "@".

    - A row already stored with the same knowledge time and values is nothing new.
    - A row whose values are those in force for its key just before its knowledge time (the same
      file downloaded again) is nothing new: the first knowledge time stands.
    - A record whose key is not its time (news) keeps the event time that it was first stored with.
    - Other values under the same key and a later knowledge time are a revision, hence added; so
      is a return to older values (A, B, A again), for it changes what is in force.
    - Other values under a key and knowledge time that is stored are a silent revision. Its values
      cannot have been known then, or the store would have them, and two truths at one time would
      make every as-of read a coin toss. It is stamped `ingested_at`, when it was seen first; with
      no such time, SilentRevisionError is raised and nothing is added.
    - Two rows of one batch with one key and one knowledge time but other values are both added:
      they are two records at two addresses, and to judge them is for validation.
    """
    columns = batch.columns
    values = [c for c in batch.columns if c not in (*key, *TIME_COLUMNS, *ADDRESS_COLUMNS)]
    if "source" in key:
        # `name@hash`: the hash tells which content was read. Other content under one name is a
        # later edition of the same series, not another series.
        key = [*(c for c in key if c != "source"), _SERIES]
        stored, batch = _with_series(stored), _with_series(batch)
    return _new_rows(stored, batch, key, values, table, ingested_at).select(columns)


def _with_series(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("source").str.split("@").list.first().alias(_SERIES))


def _new_rows(
    stored: pl.DataFrame,
    batch: pl.DataFrame,
    key: Sequence[str],
    values: Sequence[str],
    table: str,
    ingested_at: datetime | None,
) -> pl.DataFrame:
    if KNOWLEDGE_TIME not in batch.columns:
        return _anti(batch.unique([*key, *values], maintain_order=True), stored, [*key, *values])
    facts = [*key, KNOWLEDGE_TIME, *values]
    batch = _anti(batch.unique(facts, keep="first", maintain_order=True), stored, facts)
    batch = _restamped(stored, batch, [*key, KNOWLEDGE_TIME], table, ingested_at)
    return _changes(stored, batch, key, values)


def _anti(rows: pl.DataFrame, stored: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    if stored.is_empty():
        return rows
    return rows.join(stored, on=list(on), how="anti", nulls_equal=True, maintain_order="left")


def _restamped(
    stored: pl.DataFrame,
    batch: pl.DataFrame,
    identity: Sequence[str],
    table: str,
    ingested_at: datetime | None,
) -> pl.DataFrame:
    """Return the batch with its silent revisions known from `ingested_at` on."""
    silent = batch.join(stored, on=list(identity), how="semi", nulls_equal=True)
    if silent.is_empty():
        return batch
    first = ", ".join(f"{c}={silent[c][0]}" for c in identity)
    if ingested_at is None:
        raise SilentRevisionError(
            f"{table}: a record must keep its values under one knowledge_time, {silent.height} "
            f"rows changed theirs (first: {first}); give ingested_at to store them as revisions"
        )
    stamp = pl.lit(ingested_at, dtype=silent.schema[KNOWLEDGE_TIME])
    if silent.select((stamp <= pl.col(KNOWLEDGE_TIME)).any()).item():
        raise SilentRevisionError(
            f"{table}: ingested_at must be after the knowledge_time of the records that changed, "
            f"was {ingested_at} (first: {first})"
        )
    kept = _anti(batch, silent, identity)
    return pl.concat([kept, silent.with_columns(stamp.alias(KNOWLEDGE_TIME))])


def _changes(
    stored: pl.DataFrame, batch: pl.DataFrame, key: Sequence[str], values: Sequence[str]
) -> pl.DataFrame:
    """Return the batch's rows that differ from the row in force before them under their key."""
    if batch.is_empty():
        return batch
    known = stored.join(batch, on=list(key), how="semi", nulls_equal=True)
    timeline = pl.concat(
        [known.with_columns(_new=pl.lit(False)), batch.with_columns(_new=pl.lit(True))]
    ).sort([*key, KNOWLEDGE_TIME, "_new"], maintain_order=True)
    # A dropped row equals the one before it, so comparing with the neighbour is comparing with
    # the row in force, however long the run of repetitions.
    repeats = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift(1)) for c in (*key, *values))
    first = pl.int_range(pl.len()) == 0
    keep = pl.col("_new") & (first | ~repeats)
    return timeline.filter(keep).drop("_new")
