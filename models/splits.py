"""Train and test indices that share no information: purged, embargoed, ordered in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from features.schemas import UTC_TIME

Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.int64]  # microseconds since 1970, UTC


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: row numbers to fit on and to judge on, and the spans of event_time judged."""

    fold: int
    train: Indices
    test: Indices
    test_spans: tuple[tuple[datetime, datetime], ...]  # first and last event_time, inclusive


def walk_forward(
    event_times: pl.Series,
    label_end_times: pl.Series,
    *,
    folds: int = 4,
    embargo_sessions: int = 5,
    scheme: str = "expanding",
    train_sessions_min: int = 126,
) -> list[Split]:
    """Return `folds` successive test blocks, each with the rows before it to fit on.

    The sessions (distinct event times) after the first `train_sessions_min` are cut into blocks
    of equal length. A row may be fitted on only where its label ended at least
    `embargo_sessions` sessions before the block begins; scheme "rolling" keeps the newest
    `train_sessions_min` sessions or one block's length of them, whichever is more. Rows may come
    in any order. Raises ValueError where there are too few sessions.
    """
    starts, ends = _micros(event_times, label_end_times)
    sessions = np.unique(starts)
    _check(folds, embargo_sessions, sessions.size - train_sessions_min)
    if scheme not in ("expanding", "rolling"):
        raise ValueError(f"scheme must be 'expanding' or 'rolling', was {scheme!r}")
    edges = np.linspace(train_sessions_min, sessions.size, folds + 1).astype(int)
    window = max(train_sessions_min, int(edges[1] - edges[0]))
    splits: list[Split] = []
    for fold in range(folds):
        first, last = int(edges[fold]), int(edges[fold + 1]) - 1
        horizon = sessions[max(0, first - embargo_sessions)]
        oldest = sessions[max(0, first - window)] if scheme == "rolling" else sessions[0]
        train = np.flatnonzero((ends < horizon) & (starts >= oldest))
        splits.append(_split(fold, train, starts, sessions, [(first, last)]))
    return splits


def purged_k_fold(
    event_times: pl.Series,
    label_end_times: pl.Series,
    *,
    folds: int = 5,
    embargo_sessions: int = 5,
) -> list[Split]:
    """Return k blocks of time, each tested once with all other unoverlapping rows fitted on.

    Rows whose label spans into the test block are purged, as are those that begin while a test
    label runs or within `embargo_sessions` after it (Lopez de Prado 2018, chapter 7).
    """
    return list(_grouped(event_times, label_end_times, folds, 1, embargo_sessions))


def combinatorial_purged(
    event_times: pl.Series,
    label_end_times: pl.Series,
    *,
    groups: int = 6,
    test_groups: int = 2,
    embargo_sessions: int = 5,
) -> list[Split]:
    """Return every choice of `test_groups` of `groups` blocks as one split, purged.

    C(groups, test_groups) splits make C(groups - 1, test_groups - 1) full paths through time
    (Lopez de Prado 2018, chapter 12).
    """
    if not 1 <= test_groups < groups:
        raise ValueError(f"test_groups must be in 1..{groups - 1}, was {test_groups}")
    return list(_grouped(event_times, label_end_times, groups, test_groups, embargo_sessions))


def _grouped(
    event_times: pl.Series, label_end_times: pl.Series, groups: int, held_out: int, embargo: int
) -> Iterator[Split]:
    starts, ends = _micros(event_times, label_end_times)
    sessions = np.unique(starts)
    _check(groups, embargo, sessions.size)
    if groups < 2:
        raise ValueError(f"folds must be at least 2, was {groups}")
    edges = np.linspace(0, sessions.size, groups + 1).astype(int)
    blocks = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
    for fold, chosen in enumerate(combinations(blocks, held_out)):
        keep = np.ones(starts.size, dtype=bool)
        for first, last in chosen:
            keep &= _outside(starts, ends, sessions, first, last, embargo)
        yield _split(fold, np.flatnonzero(keep), starts, sessions, chosen)


def _outside(
    starts: Times, ends: Times, sessions: Times, first: int, last: int, embargo: int
) -> npt.NDArray[np.bool_]:
    """Return which rows end before the block, or begin after its labels and the embargo."""
    in_block = (starts >= sessions[first]) & (starts <= sessions[last])
    labels_over = max(int(ends[in_block].max(initial=sessions[last])), int(sessions[last]))
    after = int(np.searchsorted(sessions, labels_over, side="right")) - 1 + embargo
    free_from = sessions[after] if after < sessions.size else np.iinfo(np.int64).max
    return (ends < sessions[first]) | (starts > free_from)


def _split(
    fold: int,
    train: npt.NDArray[np.intp],
    starts: Times,
    sessions: Times,
    blocks: Sequence[tuple[int, int]],
) -> Split:
    test = np.zeros(starts.size, dtype=bool)
    for first, last in blocks:
        test |= (starts >= sessions[first]) & (starts <= sessions[last])
    spans = tuple((_moment(sessions[a]), _moment(sessions[b])) for a, b in blocks)
    if train.size == 0:
        raise ValueError(f"fold {fold} must have rows to fit on, all were purged")
    return Split(fold, train.astype(np.int64), np.flatnonzero(test).astype(np.int64), spans)


def _moment(micros: np.int64) -> datetime:
    return pl.Series([int(micros)]).cast(UTC_TIME).item()


def _micros(event_times: pl.Series, label_end_times: pl.Series) -> tuple[Times, Times]:
    if len(event_times) != len(label_end_times):
        raise ValueError(
            f"label_end_times must have {len(event_times)} rows, had {len(label_end_times)}"
        )
    if event_times.null_count() or label_end_times.null_count():
        raise ValueError("event and label end times must not be null: drop unfinished labels first")
    starts = event_times.cast(UTC_TIME).to_physical().to_numpy()
    ends = label_end_times.cast(UTC_TIME).to_physical().to_numpy()
    if bool((ends < starts).any()):
        raise ValueError("a label must not end before its event, but some do")
    return starts, ends


def _check(folds: int, embargo_sessions: int, sessions_to_cut: int) -> None:
    if not 1 <= folds <= 100:
        raise ValueError(f"folds must be in 1..100, was {folds}")
    if not 0 <= embargo_sessions <= 504:
        raise ValueError(f"embargo_sessions must be in 0..504, was {embargo_sessions}")
    if sessions_to_cut < 2 * folds:
        raise ValueError(
            f"{folds} folds must have 2 sessions each to test on, had {max(0, sessions_to_cut)}"
        )
