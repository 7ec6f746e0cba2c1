"""What features of a window are computed from: all that its last decision knows, and no less."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from adapters.stores.tables_delta import DeltaTableStore
from assets.feature_tables import read_inputs
from features import catalog
from features.schemas import BARS, INSTRUMENTS, MACRO, NEWS
from tests.assets.test_session_market import make_desk

CLOSES = [datetime(2019, 3, day, 20, tzinfo=UTC) for day in (18, 19, 20, 21, 22)]
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def tables(tmp_path: Path) -> DeltaTableStore:
    """Bars of a week, and a series and headlines that come between the close and the decision."""
    store = DeltaTableStore(tmp_path)
    span = {"start": CLOSES[0] - timedelta(days=1), "end": CLOSES[-1] + timedelta(days=1)}
    bars = {"instrument_id": "US.A", "interval": "1d", "event_time": CLOSES, "source": "v@1",
            "knowledge_time": CLOSES, "close": [10.0, 11.0, 12.0, 11.0, 13.0],
            "currency": "USD", "adjustment": "split"}  # fmt: skip
    store.replace("clean_bars", BARS.conform(pl.DataFrame(bars)), **span)
    later = [c + timedelta(minutes=15) for c in CLOSES]
    known = {"event_time": later, "knowledge_time": later, "source": "w@1"}
    macro = {"series_id": "VIXCLS", "value": [15.0, 16.0, 17.0, 18.0, 19.0], **known}
    store.replace("clean_macro", MACRO.conform(pl.DataFrame(macro)), **span)
    heads = ["great", "horrible", "great", "awful", "wonderful success"]
    news = {"news_id": list("abcde"), "headline": heads, **known}
    store.replace("clean_news", NEWS.conform(pl.DataFrame(news)), **span)
    rows = {
        "instrument_id": "US.A",
        "ticker": "A",
        "calendar": "XNYS",
        "asset_class": "equity",
        "currency": "USD",
    }
    store.append("instruments", INSTRUMENTS.conform(pl.DataFrame([rows])), key=INSTRUMENTS.key)
    return store


def test_a_session_has_the_features_of_its_month_where_it_is_computed_alone(
    tables: DeltaTableStore,
) -> None:
    desk = make_desk()

    def rows(start: datetime, end: datetime) -> pl.DataFrame:
        inputs = read_inputs(desk, tables, start, end).for_catalog()
        return catalog.compute(inputs, start=start, end=end, as_of_offset=desk.decision_lag)

    whole = rows(CLOSES[0], CLOSES[-1] + timedelta(days=9))
    alone = pl.concat([rows(close, close + INSTANT) for close in CLOSES])

    assert whole["vix"].to_list() == [15.0, 16.0, 17.0, 18.0, 19.0]
    assert whole["news_sentiment_1d"].is_not_null().all()
    assert alone.equals(whole)
