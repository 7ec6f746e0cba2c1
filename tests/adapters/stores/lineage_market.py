"""A small market whose decisions are walked: bars, macro, news, actions, a decision, orders."""

from datetime import UTC, datetime, timedelta

import polars as pl

from adapters.stores.tables_delta import DeltaTableStore
from features.schemas import BARS, CORPORATE_ACTIONS, MACRO, NEWS
from features.schemas_derived import DECISION_CONTRIBUTIONS, DECISIONS, FORECASTS
from swarm_core.lineage import Lineage
from swarm_core.orders import Order, OrderSide

FIRST = datetime(2023, 1, 2, 21, tzinfo=UTC)
SESSIONS = 300
LAST = FIRST + timedelta(days=SESSIONS - 1)  # the calendar of this market has no holidays
SESSION = LAST.date()
DECIDED = LAST + timedelta(minutes=30)
DAY = timedelta(days=1)
TICKERS = ("US.A", "US.B")


def make_bars(instrument_id: str) -> pl.DataFrame:
    times = [FIRST + DAY * i for i in range(SESSIONS)]
    return BARS.conform(
        pl.DataFrame(
            {
                "instrument_id": instrument_id,
                "interval": "1d",
                "event_time": times,
                "knowledge_time": [t + timedelta(minutes=15) for t in times],
                "close": [100.0 + i for i in range(SESSIONS)],
                "source": "vendor@abc",
                "source_row": list(range(SESSIONS)),
            }
        )
    )


def make_macro() -> pl.DataFrame:
    times = [FIRST + DAY * 10 * i for i in range(SESSIONS // 10)]
    rows = {"series_id": "VIXCLS", "event_time": times, "source": "fred@1"}
    values = {"knowledge_time": [t + DAY for t in times], "value": [float(i) for i in range(30)]}
    return MACRO.conform(pl.DataFrame({**rows, **values}))


def make_ended_macro() -> pl.DataFrame:
    """A series of which nothing has been published for months."""
    return make_macro().head(5).with_columns(series_id=pl.lit("ENDED"))


def make_news() -> pl.DataFrame:
    times = [LAST - DAY * i for i in (1, 7)]
    rows = {"news_id": ["new", "old"], "headline": ["up", "down"], "source": "wire@1"}
    return NEWS.conform(pl.DataFrame({**rows, "event_time": times, "knowledge_time": times}))


def make_actions() -> pl.DataFrame:
    """Splits within and out of the reach of features, and a dividend, which scales nothing."""
    times = [LAST - DAY * i for i in (10, 280, 5)]
    rows = {"instrument_id": "US.A", "event_time": times, "knowledge_time": times}
    kinds = {"kind": ["split", "split", "dividend"], "ratio": [2.0, 3.0, None]}
    origin = {"source": "vendor@abc", "source_row": [0, 1, 2]}
    return CORPORATE_ACTIONS.conform(pl.DataFrame({**rows, **kinds, **origin}))


def make_order(instrument_id: str = "US.A", lots: int = 7) -> Order:
    side = OrderSide.BUY
    return Order(decision_id="D1", instrument_id=instrument_id, side=side, quantity_lots=lots)


ORDER_A, ORDER_B = make_order("US.A"), make_order("US.B")


def at(seconds: float) -> int:
    return int((DECIDED.timestamp() + seconds) * 1e9)


def write_tables(store: DeltaTableStore) -> Lineage:
    bars = pl.concat([make_bars(t) for t in TICKERS])
    store.append("raw_bars", bars, key=BARS.key)
    span = {"start": FIRST - DAY, "end": LAST + DAY}
    store.replace("clean_bars", bars, **span)
    store.replace("clean_macro", pl.concat([make_macro(), make_ended_macro()]), **span)
    store.replace("clean_news", make_news(), **span)
    store.replace("clean_corporate_actions", make_actions(), **span)
    row = {"instrument_id": list(TICKERS), "event_time": LAST, "knowledge_time": DECIDED}
    values = {"ret_1d": [0.01, 0.02], "mom_252d_21d": [0.5, None], "vix": 29.0}
    features = pl.DataFrame({**row, "as_of": DECIDED, **values})
    times = ("event_time", "knowledge_time", "as_of")
    earlier = [features.with_columns(pl.col(*times) - DAY * i) for i in range(20)]
    store.replace("features", pl.concat(earlier), **span)
    model = {"model_name": "lgbm", "model_version": "v1", "forecast": 1.5, "as_of": DECIDED}
    store.replace("forecasts", FORECASTS.conform(pl.DataFrame({**row, **model})), **span)
    return Lineage(
        decision_id="D1",
        session=SESSION.isoformat(),
        colony_state_digest="feed" * 16,
        model_name="lgbm",
        model_version="v1",
        feature_table_version="features@0",
        clean_versions=("clean_bars@0", "clean_macro@0", "clean_news@0"),
    )


def write_decision(store: DeltaTableStore) -> None:
    row = {"decision_id": "D1", "session": SESSION, "event_time": LAST, "knowledge_time": DECIDED}
    target = {"instrument_id": "US.A", "conviction": 0.4, "target_weight": 0.1, "reason": "quorum"}
    span = {"start": LAST, "end": LAST + DAY}
    store.replace("decisions", DECISIONS.conform(pl.DataFrame({**row, **target})), **span)
    senses = {"instrument_id": "US.A", "sense": ["momentum", "macro"], "contribution": [0.5, -0.1]}
    rows = DECISION_CONTRIBUTIONS.conform(pl.DataFrame({**row, **senses}))
    store.replace("decision_contributions", rows, **span)


class Cards:
    """A model registry with one card."""

    def card(self, name: str, version: str) -> dict[str, object]:
        return {"training_start": "2023-01-01", "training_end": "2023-02-01", "data_hash": "d1"}
