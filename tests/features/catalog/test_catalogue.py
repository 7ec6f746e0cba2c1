"""The catalogue holds what the platform shares, says where it comes from, and its page is true."""

import re
from pathlib import Path

import polars as pl
import pytest

from features.catalog import BY_NAME, CATALOG, FAMILIES, Feature
from features.catalog.document import page
from features.catalog.summaries import correlation, coverage, coverage_by_month
from tests.features.catalog.test_compute import WHOLE

SHARED_NAMES = [
    "ret_1d",
    "ret_5d",
    "ret_21d",
    "mom_21d",
    "mom_63d",
    "mom_126d",
    "mom_252d_21d",
    "rev_1d",
    "rev_5d",
    "vol_21d",
    "vol_63d",
    "vol_ratio_21d_126d",
    "ewma_vol",
    "donchian_20d",
    "donchian_55d",
    "parkinson_21d",
    "drawdown_252d",
    "ma_gap_50d",
    "ma_gap_200d",
    "macd_12d_26d",
    "volume_z_21d",
    "amihud_21d",
    "dollar_volume_21d",
    "mom_252d_21d_rank",
    "rev_5d_rank",
    "vol_63d_rank",
    "beta_63d",
    "idio_vol_63d",
    "turn_of_month",
    "day_of_week",
    "month_sin",
    "month_cos",
    "vix",
    "vix_change_5d",
    "term_slope",
    "oil_ret_21d",
    "dollar_ret_21d",
    "macro_surprise",
    "news_sentiment_1d",
    "news_sentiment_5d",
    "news_volume_5d",
]


def test_every_shared_name_is_in_the_catalogue():
    assert [n for n in SHARED_NAMES if n not in BY_NAME] == []


def test_every_feature_names_formula_tables_and_author_with_year():
    for feature in CATALOG:
        assert feature.formula, feature.name
        assert set(feature.source_tables) <= {"bars", "macro", "news"}, feature.name
        assert re.search(r"[A-Z][a-z]+.*\b(18|19|20)\d\d\b", feature.reference), feature.name


def test_the_documentation_page_is_that_of_the_catalogue():
    path = Path(__file__).parents[3] / "docs" / "features.md"
    assert path.read_text(encoding="utf-8") == page()


def test_a_feature_with_a_bad_name_or_lookback_is_refused():
    fields = {"family": "returns", "formula": "C", "reference": "x (1900)", "expr": pl.col("close")}
    with pytest.raises(ValueError, match="lower-case word, was 'Bad Name'"):
        Feature(name="Bad Name", lookback_sessions=0, **fields)
    with pytest.raises(ValueError, match="must be 0 or more"):
        Feature(name="good", lookback_sessions=-1, **fields)


def test_coverage_counts_the_known_rows_of_each_feature():
    table = coverage(WHOLE)
    assert table["feature"].to_list() == [f.name for f in CATALOG]
    share = dict(zip(table["feature"], table["known_share"], strict=True))
    known = WHOLE["mom_252d_21d"].count() / WHOLE.height
    assert share["mom_252d_21d"] == pytest.approx(known)
    by_month = coverage_by_month(WHOLE)
    assert set(by_month["family"]) == set(FAMILIES)
    assert by_month["known_share"].is_between(0.0, 1.0).all()


def test_correlation_is_symmetric_one_on_the_diagonal_and_minus_one_of_a_mirror():
    table = correlation(WHOLE.select("ret_5d", "rev_5d", "vol_21d"))
    value = {(a, b): c for a, b, c in table.iter_rows()}
    assert value["ret_5d", "ret_5d"] == pytest.approx(1.0)
    assert value["ret_5d", "rev_5d"] == pytest.approx(-1.0)
    assert value["vol_21d", "ret_5d"] == value["ret_5d", "vol_21d"]
    names = {f.name for f in CATALOG if f.family == "volatility"}
    assert set(correlation(WHOLE, "volatility")["left"]) == names
    with pytest.raises(ValueError, match="family must be of the catalogue"):
        correlation(WHOLE, "astrology")
