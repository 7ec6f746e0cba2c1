"""Files of one layout put together: thousands of small ones cost little more than a large one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from adapters.sources.reading import RawRows

# What each row of a batch carries beside the columns of its file.
FILE, SOURCE = "__file", "__source"
TAGS = (FILE, SOURCE)
ROW_BITS = 32  # rows of one file; the bits above name the file where a data set has many
_ROWS_MAX = 1 << 19  # a batch is converted as one, with several copies of its cells in memory


@dataclass(frozen=True, slots=True)
class FileRows:
    """What one file, or one member of an archive, holds.

    `groups` are the columns that its name tells, `offset` is added to the number of each row.
    """

    name: str
    source: str
    offset: int
    groups: Mapping[str, str]
    raw: RawRows

    @property
    def layout(self) -> tuple[object, ...]:
        """What files must have in common to be read together."""
        return tuple(self.raw.rows.schema.items()), tuple(self.groups)


def in_batches(files: Iterable[FileRows], rows_max: int = _ROWS_MAX) -> Iterator[list[FileRows]]:
    """Yield the files in groups of one layout, each group as large as allowed."""
    waiting: dict[tuple[object, ...], list[FileRows]] = {}
    counts: dict[tuple[object, ...], int] = {}
    for file in files:
        layout = file.layout
        waiting.setdefault(layout, []).append(file)
        counts[layout] = counts.get(layout, 0) + file.raw.rows.height
        if counts[layout] >= rows_max:
            yield waiting.pop(layout)
            counts[layout] = 0
    yield from waiting.values()


def joined(files: list[FileRows]) -> RawRows:
    """Return the rows of files of one layout as those of one, each with its FILE and SOURCE."""
    rows = _tagged(files, [file.raw.rows for file in files])
    names = list(files[0].groups)
    if names:
        told = pl.DataFrame({name: [file.groups[name] for file in files] for name in names})
        rows = rows.with_columns(told[rows[FILE]])
    return RawRows(rows, _tagged(files, [file.raw.ragged for file in files]))


def _tagged(files: list[FileRows], frames: list[pl.DataFrame]) -> pl.DataFrame:
    heights = [frame.height for frame in frames]
    numbers = np.repeat(np.arange(len(files), dtype=np.int64), heights)
    sources = pl.Series(SOURCE, [file.source for file in files], dtype=pl.String)
    tags = pl.DataFrame({FILE: numbers, SOURCE: sources[numbers]})
    rows = pl.concat(frames)
    if "source_row" not in rows.columns:  # an empty file
        return tags
    offsets = np.array([file.offset for file in files], dtype=np.int64)
    return rows.with_columns(pl.col("source_row") + pl.Series(offsets[numbers]), *tags)
