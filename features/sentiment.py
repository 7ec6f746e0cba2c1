"""How a headline sounds to an investor: VADER's rules over its lexicon and a finance word list."""

import csv
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import polars as pl
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

LEXICON_PATH = Path(__file__).with_name("lexicon_finance.csv")
_WORD = re.compile(r"[\w-]+")
_VALENCE_MAX = 4.0  # the end of VADER's scale


def read_lexicon(path: Path = LEXICON_PATH) -> dict[str, float]:
    """Return term -> valence in [-4, 4]; a term may be a phrase; 0 silences a word of VADER's.

    Raises ValueError where a line is not a term and a number of that scale, or a term comes twice.
    """
    lexicon: dict[str, float] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            term, valence = row["term"], float(row["valence"])
            if term in lexicon or term != term.strip().lower() or abs(valence) > _VALENCE_MAX:
                raise ValueError(f"{path.name} must hold each term once, in [-4, 4], had {row}")
            lexicon[term] = valence
    return lexicon


class FinanceSentiment:
    """Scores texts in [-1, 1] by VADER: negation, emphasis, contrast (Hutto and Gilbert, 2014)."""

    def __init__(self, finance: dict[str, float]) -> None:
        """Lay the finance terms over VADER's own lexicon; phrases become single words."""
        self._vader = SentimentIntensityAnalyzer()
        phrases = sorted((t for t in finance if " " in t), key=len, reverse=True)
        # One pattern for each first word: most headlines hold none and are not searched at all.
        self._phrases = {
            first: re.compile(r"\b(?:" + "|".join(map(re.escape, group)) + r")\b", re.IGNORECASE)
            for first in {t.split()[0] for t in phrases}
            if (group := [t for t in phrases if t.split()[0] == first])
        }
        self._vader.lexicon.update({t.replace(" ", "_"): v for t, v in finance.items()})

    def score(self, text: str) -> float:
        """Return VADER's compound score of the text, in [-1, 1], four decimals; 0 is neutral."""
        joined = text
        for first in sorted(self._phrases.keys() & set(_WORD.findall(text.lower()))):
            joined = self._phrases[first].sub(lambda m: m[0].replace(" ", "_"), joined)
        return float(self._vader.polarity_scores(joined)["compound"])


@cache
def _analyser() -> FinanceSentiment:
    return FinanceSentiment(read_lexicon())


@lru_cache(maxsize=200_000)
def score(text: str) -> float:
    """Return the score of one headline by the house's lexicon; remembered for the process."""
    return _analyser().score(text)


def headline_scores(headlines: pl.Series) -> pl.Series:
    """Return the score of each headline, each distinct text scored once; null stays null."""
    return pl.Series("score", list(_scores(headlines)), dtype=pl.Float64)


def _scores(headlines: Iterable[str | None]) -> Iterable[float | None]:
    return (None if text is None else score(text) for text in headlines)
