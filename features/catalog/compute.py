"""The features of a span of sessions, each row from what was known at its own as_of alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from features.catalog.feature import Feature, FeatureInputs
from features.catalog.histories import Histories
from features.catalog.macro_states import ROLES, macro_columns
from features.catalog.news_windows import NewsItems, news_columns, read_news
from features.catalog.panel import build_panel
from features.catalog.registry import CATALOG, LOOKBACK_SESSIONS_MAX, select
from features.catalog.versions import read_versions
from features.schemas import UTC_TIME

_TIMES = ("instrument_id", "event_time", "knowledge_time", "as_of")
_SORTED_BY = ("event_time", "instrument_id")
# Where most of what is read is read for the lookback alone, features that look back as far are
# computed together, from no more rows than they need: a month, a quarter, half a year, the rest.
_REACHES = (21, 63, 126, LOOKBACK_SESSIONS_MAX)
# A window's first return needs one row more than the window.
_ROW_BEFORE = 1


def _moment(value: datetime | date, what: str) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if value.tzinfo is None:
        raise ValueError(f"{what} must carry a time zone, was {value!r}")
    return value.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What rows are computed from, and who is told how far it has come."""

    histories: Histories
    macro: pl.DataFrame
    news: NewsItems | None
    progress: Callable[[str], None]

    def table(self, features: Sequence[Feature]) -> pl.DataFrame:
        """Return the wanted rows with these features, in order of event_time and instrument."""
        first = [f for f in features if not f.needs]
        if not self.histories.is_revised:
            panels = self.histories.market(LOOKBACK_SESSIONS_MAX + _ROW_BEFORE)
            rows = _gathered(self._evaluated(p, first, with_times=True) for p, _ in panels)
        else:
            rows = self._of_revised(first)
        # A feature that needs others compares the values of one moment, and all its rows are here.
        return _with_features(rows.lazy(), [f for f in features if f.needs]).collect()

    def _of_revised(self, features: Sequence[Feature]) -> pl.DataFrame:
        """Return the table of features that need no other where old bars came late or changed."""
        market = [f for f in features if f.reads_market]
        parts = [self._of_instruments([f for f in features if not f.reads_market])]
        if market:
            reach = max(f.lookback_sessions for f in market) + _ROW_BEFORE
            panels = self._told(self.histories.market(reach), "of the market")
            of_market = _gathered(self._evaluated(p, market, with_times=False) for p in panels)
            parts.append(of_market.drop(_SORTED_BY))
        return pl.concat(parts, how="horizontal")

    def _of_instruments(self, features: Sequence[Feature]) -> pl.DataFrame:
        """Return the table of features that read the rows of their own instrument alone."""
        parts: list[pl.DataFrame] = []
        before = -1
        for reach in _REACHES:
            is_last = reach == _REACHES[-1]
            chosen = [f for f in features if before < f.lookback_sessions <= reach]
            panels = self._told(self.histories.own(reach + _ROW_BEFORE), f"within {reach} sessions")
            found = _gathered(self._evaluated(p, chosen, with_times=is_last) for p in panels)
            parts.append(found if is_last else found.drop(_SORTED_BY))
            before = reach
        return pl.concat(parts, how="horizontal")

    def _told(
        self, panels: Iterator[tuple[pl.DataFrame, float]], what: str
    ) -> Iterator[pl.DataFrame]:
        for panel, done in panels:
            yield panel
            if done < 1.0:
                self.progress(f"{done:.0%} of the features {what}; old bars were revised")

    def _evaluated(
        self, panel: pl.DataFrame, features: Sequence[Feature], *, with_times: bool
    ) -> pl.DataFrame:
        """Return a panel's wanted rows with the features, and with their times if asked for."""
        wide = build_panel(panel).collect()
        # The panels of revised bars are many, and most of them are of features of bars alone.
        if with_times or any(set(f.source_tables) - {"bars"} for f in features):
            wide = pl.concat([wide, news_columns(self.news, wide)], how="horizontal").join(
                self.macro, on="as_of", how="left", maintain_order="left"
            )
        names = [*_SORTED_BY, *(f.name for f in features)]
        if with_times:
            known = self.histories.bars_known(panel, LOOKBACK_SESSIONS_MAX)
            wide = wide.with_columns(known).with_columns(knowledge_time=_newest_known())
            names += ["knowledge_time", "as_of"]
        return _with_features(wide.lazy(), features).filter("wanted").select(names).collect()


def _gathered(parts: Iterator[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(list(parts)).sort(_SORTED_BY)


def _newest_known() -> pl.Expr:
    """Return when the newest datum behind a row was known: its bars', macro's and news'."""
    states = [pl.col(f"{role}_known") for role in (*ROLES, "surprise")]
    return pl.max_horizontal("bars_known", *states, "news_known")


def _with_features(panel: pl.LazyFrame, features: Sequence[Feature]) -> pl.LazyFrame:
    """Return the panel with the features, null where they are not finite.

    In two steps: one expression that names a compiled kernel twice would run it twice.
    """
    values = panel.with_columns(f.expr.cast(pl.Float64).alias(f.name) for f in features)
    return values.with_columns(
        pl.when(pl.col(f.name).is_finite()).then(pl.col(f.name)).alias(f.name) for f in features
    )


def _lazy(table: pl.LazyFrame | pl.DataFrame | None) -> pl.LazyFrame | None:
    return None if table is None else table.lazy()


def compute(
    inputs: FeatureInputs,
    *,
    start: datetime | date,
    end: datetime | date,
    as_of_offset: timedelta,
    names: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> pl.DataFrame:
    """Return the feature table of the sessions with start <= event_time < end.

    One row per instrument and session whose bar was known at as_of = event_time + as_of_offset;
    columns instrument_id, event_time, knowledge_time, as_of and the features (all of CATALOG, or
    `names`), null where not known. A row reads only versions with knowledge_time <= as_of; its
    knowledge_time is that of the newest datum within its windows. Rows before `start` are read as
    far as the longest lookback: a span computed in pieces has the bits of the span at once.
    Where old bars were revised, only what a revision reaches is computed again
    (features.catalog.histories); `progress` is told how far it has come.
    Raises ValueError on unknown names, on bars of mixed intervals and on a negative offset.
    """
    if as_of_offset < timedelta(0):
        raise ValueError(f"as_of_offset must be 0 or more, was {as_of_offset}")
    low, high = _moment(start, "start"), _moment(end, "end")
    chosen, evaluated = select(names)
    histories = Histories(read_versions(inputs.bars.lazy(), high, as_of_offset), low)
    decisions = histories.decisions()
    if decisions.is_empty():
        return pl.DataFrame(schema=feature_schema(chosen))
    reader = _Reader(
        histories,
        macro_columns(_lazy(inputs.macro), decisions),
        read_news(_lazy(inputs.news), until=high + as_of_offset),
        progress,
    )
    return reader.table(evaluated).select(*_TIMES, *(f.name for f in chosen))


def feature_schema(features: Sequence[Feature] = CATALOG) -> dict[str, pl.DataType]:
    """Return the columns of the feature table, in order."""
    keys: dict[str, pl.DataType] = {"instrument_id": pl.String()}
    times = dict.fromkeys(("event_time", "knowledge_time", "as_of"), UTC_TIME)
    return {**keys, **times, **{f.name: pl.Float64() for f in features}}
