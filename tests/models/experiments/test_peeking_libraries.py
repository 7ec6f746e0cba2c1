"""Strategies that peek, or do not, with what pandas, scipy and scikit-learn offer."""

import pytest

from adapters.workers.line import ProcessLine
from models.experiments.account import walk
from models.experiments.fields import ExperimentError
from models.experiments.guard import trial_peeks
from models.experiments.running import trials_of
from models.experiments.windows import windows_of
from tests.models.experiments.builders import make_ground, make_market, make_spec

HEAD = """
import numpy as np
import pandas as pd

def weights(market, kept={}):
    close = pd.DataFrame(market.close, index=pd.to_datetime(market.days)).ffill().fillna(1.0)
    change = np.log(close).diff().fillna(0.0)
"""
PEEKING = {
    "a centred rolling mean": """
    centred = close.rolling(21, center=True, min_periods=1).mean()
    return centred / close - 1
""",
    "a z-score of the whole sample": "return (change - change.mean()) / change.std()",
    "a scaler that was fitted to everything": """
    from sklearn.preprocessing import StandardScaler
    return StandardScaler().fit_transform(change)
""",
    "a shift of minus one": "return np.sign(change.shift(-1)).fillna(0.0)",
    "a shift of minus one on the last Friday of March": """
    days = close.index
    rare = (days.month == 3) & (days.day > 24) & (days.dayofweek == 4)
    return np.where(rare[:, None], np.sign(change.shift(-1).fillna(0.0)), 0.25)
""",
    "sorting by what comes": "return (change.shift(-1).fillna(0.0)).rank(axis=1, pct=True) - 0.5",
    "a place among all closes": "return close.rank(pct=True) - 0.5",
    "what an argument's default kept": """
    kept.setdefault("high", close.max())
    return (close < kept["high"]).astype(float)
""",
    "quantiles of the whole sample": "return (change < change.quantile(0.1)).astype(float)",
    "a filter without a phase": """
    from scipy.signal import filtfilt
    return np.sign(filtfilt([0.2], [1, -0.8], close, axis=0) - close)
""",
    "a smoother": """
    from scipy.signal import savgol_filter
    return 0.05 * np.sign(savgol_filter(close, 11, 2, axis=0, deriv=1))
""",
    "central differences": "return np.sign(np.gradient(close.to_numpy(), axis=0))",
    "a trend through everything": """
    from scipy.signal import detrend
    return -np.sign(detrend(close, axis=0))
""",
    "components of the whole sample": """
    from sklearn.decomposition import PCA
    return PCA(1).fit(change).inverse_transform(PCA(1).fit_transform(change)) * 10
""",
    "groups of days that were found in the whole sample": """
    from sklearn.cluster import KMeans
    found = KMeans(3, n_init=1, random_state=0).fit_predict(change)
    return np.repeat((found == 0)[:, None], close.shape[1], axis=1).astype(float)
""",
    "filling in from behind": """
    few = close[close.index.day % 3 == 0].reindex(close.index)
    return few.bfill().fillna(0.0) / close - 1
""",
    "the last day that there is": "return 0 * close + len(market.days) % 7 / 10",
}  # fmt: skip
HONEST = {
    "a rolling z-score": """
    past = change.rolling(20)
    return ((change - past.mean()) / past.std()).fillna(0)
""",
    "an exponential mean": "return np.sign(close - close.ewm(span=20, adjust=False).mean())",
    "a place among the closes so far": "return close.expanding(5).rank(pct=True).fillna(0.5) - 0.5",
    "a place among the instruments of the day": "return change.rank(axis=1, pct=True) - 0.5",
    "a filter of the past": """
    from scipy.signal import lfilter
    return np.sign(close - lfilter([0.2], [1, -0.8], close, axis=0))
""",
    "groups that are found in the past alone": """
    from sklearn.cluster import KMeans
    model = KMeans(3, n_init=1, random_state=0).fit(change[:60])
    found = np.where(np.arange(len(change)) < 60, -1, model.predict(change))
    return np.repeat((found == 0)[:, None], close.shape[1], axis=1) / 20
""",
    "a scaler that is fitted again each month": """
    from sklearn.preprocessing import StandardScaler
    out = change * 0.0
    months = close.index.year * 12 + close.index.month
    for month in np.unique(months)[1:]:
        past = change[months < month]
        out[months == month] = StandardScaler().fit(past).transform(change[months == month])
    return out
""",
}  # fmt: skip


def _found(body: str, seed: int) -> int:
    text = HEAD + (body if body.startswith("\n") else f"\n    {body}\n")
    spec = make_spec(strategy={"source": text})
    (trial,) = trials_of(spec, windows_of(spec)[0], make_ground(), "d")
    market = make_market(260, seed=seed)
    walk(trial, market)  # as before the guard asks
    return len(trial_peeks(trial, market, 20, ProcessLine))


@pytest.mark.parametrize("name", PEEKING)
def test_a_library_s_way_to_peek_is_seen(name: str) -> None:
    """Its decisions change, or it cannot take them without what comes."""
    try:
        found = _found(PEEKING[name], 4)
    except ExperimentError as error:
        found = "alone: strategy.weights must run" in str(error)
    assert found > 0


@pytest.mark.filterwarnings("ignore::UserWarning")  # names of columns, which the scaler forgets
@pytest.mark.parametrize("name", HONEST)
def test_a_library_s_way_to_look_back_passes(name: str) -> None:
    assert _found(HONEST[name], 4) == 0


REACHING = {
    "its own file": "return float(len(open(__file__).read())) + 0 * close",
    "its own text": "import inspect; return len(inspect.getsource(weights)) + 0 * close",
    "who called": "import sys; return sys._getframe(3).f_locals['market'].panel.prices",
    "the caller's stack": "import inspect; return inspect.stack()[3].frame.f_locals and 0 * close",
    "whatever lies in memory": "import gc; return len(gc.get_objects()) * 0.0 + 0 * close",
}


@pytest.mark.parametrize("name", REACHING)
def test_what_reaches_beyond_the_market_is_refused(name: str) -> None:
    with pytest.raises(ExperimentError) as told:
        _found(REACHING[name], 1)
    assert "\n" not in str(told.value)
