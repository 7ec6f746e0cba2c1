"""Statistics of returns and forecasts: how well, how surely, and after how many tries."""

from models.statistics.bootstrap import (
    Interval,
    block_length,
    circular_indices,
    confidence_interval,
    mean_of,
    sharpe_interval,
    sharpe_of,
    stationary_indices,
)
from models.statistics.capacity import capacity, impact_per_root_nav
from models.statistics.drawdown import drawdowns, equity, longest_drawdown, max_drawdown
from models.statistics.newey_west import default_lags, mean_standard_error, mean_t
from models.statistics.overfitting import Overfitting, backtest_overfitting
from models.statistics.performance import (
    YEAR,
    Regression,
    alpha_beta,
    annual_return,
    annual_volatility,
    calmar,
    hit_rate,
    sharpe,
    sortino,
    turnover,
)
from models.statistics.reality_check import RealityCheck, reality_check
from models.statistics.series import Floats, Series
from models.statistics.sharpe_inference import (
    deflated_sharpe,
    expected_max_sharpe,
    min_track_record_length,
    probabilistic_sharpe,
    sharpe_standard_error,
)
from models.statistics.tail_risk import expected_shortfall, value_at_risk

__all__ = [
    "YEAR",
    "Floats",
    "Interval",
    "Overfitting",
    "RealityCheck",
    "Regression",
    "Series",
    "alpha_beta",
    "annual_return",
    "annual_volatility",
    "backtest_overfitting",
    "block_length",
    "calmar",
    "capacity",
    "circular_indices",
    "confidence_interval",
    "default_lags",
    "deflated_sharpe",
    "drawdowns",
    "equity",
    "expected_max_sharpe",
    "expected_shortfall",
    "hit_rate",
    "impact_per_root_nav",
    "longest_drawdown",
    "max_drawdown",
    "mean_of",
    "mean_standard_error",
    "mean_t",
    "min_track_record_length",
    "probabilistic_sharpe",
    "reality_check",
    "sharpe",
    "sharpe_interval",
    "sharpe_of",
    "sharpe_standard_error",
    "sortino",
    "stationary_indices",
    "turnover",
    "value_at_risk",
]
