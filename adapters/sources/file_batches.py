"""What the files of one table held, in batches of one layout, in memory and on a shelf."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import polars as pl

from adapters.sources.batches import ROW_BITS, FileRows
from adapters.sources.kept_frames import Shelf
from adapters.sources.rows import TableRows
from adapters.sources.unread_columns import Layout, filled_columns

_FRAMES = ("rows", "rejected", "symbols")
_LIVE_SHARE = 0.5  # a batch of which fewer rows are still true is written anew
# A file a day would become a batch a day: so many small ones of one layout become one.
_SMALL, _SMALL_MAX = 1 << 18, 16


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a batch: what names its rows, and its columns with a cell in them."""

    source: str
    tag: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of some files of one layout, and the name by which they lie on a shelf.

    What lies there may hold more, rows of files that are no longer true: then it `is_cut`.
    `height` is how many rows were there when it was named; `header` orders its files' columns.
    """

    files: Mapping[str, FilePart]
    header: tuple[str, ...]
    table_rows: TableRows
    name: str
    height: int
    is_cut: bool = False

    @property
    def layout(self) -> Layout:
        """The columns with a cell in them, of all its files."""
        filled = {column for part in self.files.values() for column in part.columns}
        return Layout(tuple(c for c in self.header if c in filled), tuple(self.files))

    @property
    def is_thin(self) -> bool:
        """Whether most of the rows that its name stands for are no longer true."""
        return self.table_rows.rows.height < _LIVE_SHARE * self.height

    def without(self, stale: set[str]) -> "Batch | None":
        """Return the batch without the rows of some files; None where nothing is left.

        Without all of its files where a row does not say which it is of, or two files share the
        number that tells them apart.
        """
        if stale.isdisjoint(self.files):
            return self
        gone = {(self.files[f].source, self.files[f].tag) for f in stale & self.files.keys()}
        left = {
            name: part
            for name, part in self.files.items()
            if name not in stale and (part.source, part.tag) not in gone
        }
        if not left or "source_row" not in self.table_rows.rows.columns:
            return None
        rows = self.table_rows
        kept = TableRows(*(_rows_of(getattr(rows, name), left.values()) for name in _FRAMES))
        return replace(self, files=left, table_rows=kept, is_cut=True)


@dataclass(slots=True)
class Read:
    """What the files of a table held: the hash of each as it was read, and the batches."""

    digests: dict[str, str]
    batches: list[Batch] = field(default_factory=list[Batch])

    def still_true(self, now: Mapping[str, str]) -> "Read":
        """Return what is left of it where the files hold what `now` says.

        A file of which rows had to go stays in no batch: it is to be read again as a whole.
        """
        batches = self.batches
        seen = self.digests.keys() | _files_of(batches)
        stale = {f for f in seen if f not in now or self.digests.get(f) != now[f]}
        while True:
            left = [b for batch in batches if (b := batch.without(stale)) is not None]
            lost = _files_of(batches) - _files_of(left) - stale
            batches = left
            if not lost:
                break
            stale |= lost
        return Read({f: d for f, d in self.digests.items() if f not in stale}, batches)

    def tidied(self) -> "Read":
        """Return it in as few and as full batches as are worth a new writing of their rows."""
        batches = [
            replace(b, name=uuid4().hex, height=b.table_rows.rows.height, is_cut=False)
            if b.is_thin
            else b
            for b in self.batches
        ]
        alike: dict[tuple[str, ...], list[Batch]] = {}
        for batch in batches:
            alike.setdefault(batch.header, []).append(batch)
        for small in alike.values():
            small[:] = [batch for batch in small if batch.height < _SMALL]
        merged = [_merged(small) for small in alike.values() if len(small) > _SMALL_MAX]
        gone = {b.name for small in alike.values() if len(small) > _SMALL_MAX for b in small}
        return Read(self.digests, [b for b in batches if b.name not in gone] + merged)


def batch_of(files: list[FileRows], tags: Mapping[str, int], rows: TableRows) -> Batch:
    """Return files that were read together; `tags` has the number that names each."""
    parts: dict[str, FilePart] = {}
    for file in files:
        filled = filled_columns(file)
        if file.name in parts:  # another member of an archive
            filled = tuple(dict.fromkeys((*parts[file.name].columns, *filled)))
        parts[file.name] = FilePart(file.source, tags[file.name], filled)
    header = tuple(files[0].raw.rows.columns)
    return Batch(parts, header, rows, uuid4().hex, rows.rows.height)


def _merged(batches: Sequence[Batch]) -> Batch:
    frames = (pl.concat([getattr(b.table_rows, name) for b in batches]) for name in _FRAMES)
    rows, files = TableRows(*frames), {}
    for batch in batches:
        for name, part in batch.files.items():
            columns = (*files[name].columns, *part.columns) if name in files else part.columns
            files[name] = replace(part, columns=tuple(dict.fromkeys(columns)))
    return Batch(files, batches[0].header, rows, uuid4().hex, rows.rows.height)


def _files_of(batches: Iterable[Batch]) -> set[str]:
    return {name for batch in batches for name in batch.files}


def _rows_of(frame: pl.DataFrame, parts: Iterable[FilePart]) -> pl.DataFrame:
    """Return the rows of these files alone."""
    marks = pl.DataFrame(
        sorted({(part.source, part.tag) for part in parts}),
        schema={"source": pl.String(), "tag": pl.Int64()},
        orient="row",
    )
    tag = pl.col("tag") if "tag" in frame.columns else pl.col("source_row") // (1 << ROW_BITS)
    named = frame.select("source", tag=tag).join(
        marks.with_columns(is_kept=True), on=["source", "tag"], how="left", maintain_order="left"
    )
    return frame.filter(named["is_kept"].is_not_null())


def load(shelf: Shelf) -> Read:
    """Return what an earlier process put here, as far as it is whole."""
    kept = shelf.read()
    if kept is None:
        return Read({})
    digests: dict[str, str] = dict(kept.note["digests"])
    batches: list[Batch] = []
    for told in kept.note["batches"]:
        files = {
            name: FilePart(source, tag, tuple(told["header"][place] for place in columns))
            for name, (source, tag, columns) in told["files"].items()
        }
        frames = [kept.frame(f"{told['name']}.{name}") for name in _FRAMES]
        whole = [frame for frame in frames if frame is not None]
        if len(whole) == len(_FRAMES):
            if told["is_cut"]:
                whole = [_rows_of(frame, files.values()) for frame in whole]
            named = {key: told[key] for key in ("name", "height", "is_cut")}
            batches.append(Batch(files, tuple(told["header"]), TableRows(*whole), **named))
        else:  # of these files nothing is known
            digests = {name: digest for name, digest in digests.items() if name not in files}
    return Read(digests, batches)


def put(shelf: Shelf, read: Read) -> None:
    """Let a later process find what was read."""
    batches = [
        {
            "name": batch.name,
            "height": batch.height,
            "is_cut": batch.is_cut,
            "header": batch.header,
            "files": {
                name: (part.source, part.tag, [batch.header.index(c) for c in part.columns])
                for name, part in batch.files.items()
            },
        }
        for batch in read.batches
    ]
    frames = {
        f"{batch.name}.{name}": getattr(batch.table_rows, name)
        for batch in read.batches
        for name in _FRAMES
    }
    shelf.put({"digests": read.digests, "batches": batches}, frames)
