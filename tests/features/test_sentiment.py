"""Headlines sound to the scorer as they sound to an investor."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sentiment import FinanceSentiment, headline_scores, read_lexicon, score

GOOD = (
    "Company beats estimates and raises guidance",
    "Shares soar to record high on strong demand",
    "Bank upgraded after record profits",
    "Markets rally on stimulus hopes",
)
BAD = (
    "Retailer issues profit warning as sales slump",
    "Shares plunge after accounting fraud revealed",
    "Airline files for bankruptcy, thousands of jobs at risk",
    "Markets tumble in worst day since financial crisis",
)


@pytest.mark.parametrize("headline", GOOD)
def test_good_news_scores_above_zero(headline):
    assert score(headline) > 0.3


@pytest.mark.parametrize("headline", BAD)
def test_bad_news_scores_below_zero(headline):
    assert score(headline) < -0.3


def test_the_trade_words_that_people_feel_about_are_neutral_here():
    assert score("Gross margin and crude oil shares at Trust bank") == 0.0


def test_negation_turns_and_emphasis_strengthens():
    assert score("profits did not surge") < 0.0 < score("profits surge")
    assert score("an extremely bullish report") > score("a bullish report")


def test_a_phrase_counts_as_one_word_whatever_its_case():
    assert score("Profit Warning at retailer") < -0.4
    assert score("profits at retailer") > 0.0


def test_the_lexicon_is_ours_and_wide_enough():
    lexicon = read_lexicon()
    assert len(lexicon) > 300
    assert all(-4.0 <= v <= 4.0 for v in lexicon.values())
    assert min(lexicon.values()) < -2.0 < 2.0 < max(lexicon.values())


def test_a_term_twice_or_off_the_scale_is_refused(tmp_path):
    for line in ("surge,9", "Surge,1"):
        path = tmp_path / "terms.csv"
        path.write_text(f"term,valence\nplunge,-2\n{line}\n")
        with pytest.raises(ValueError, match="must hold each term once"):
            read_lexicon(path)


def test_without_finance_terms_it_is_plain_vader():
    assert FinanceSentiment({}).score("a wonderful day") > 0.5


@given(st.text(max_size=80))
def test_any_text_scores_between_minus_one_and_one(text):
    assert -1.0 <= score(text) <= 1.0


def test_null_headlines_stay_null_and_equal_ones_score_equal():
    scores = headline_scores(pl.Series(["profits surge", None, "profits surge"]))
    assert scores[1] is None
    assert scores[0] == scores[2] == score("profits surge")


def test_each_distinct_headline_is_scored_once():
    """Ten thousand repeats of one headline cost no more than a moment of lookups."""
    repeated = pl.Series(["Shares plunge on profit warning"] * 10_000)
    assert headline_scores(repeated).n_unique() == 1
    assert score.cache_info().hits >= 9_999
