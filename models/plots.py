"""Pictures of a model's record as PNG bytes: drawn without a display or any global state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.drawing import BARK, HONEY, INK, LEAF, MUTED, RUST, draw_figure, finish, legend
from models.evaluation import Evaluation
from models.statistics import Series, drawdowns, equity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROLLING_DECISIONS = 63


def ic_over_time(evaluation: Evaluation) -> bytes:
    """Rank IC of each decision, its rolling mean, and the sum so far."""
    rows = evaluation.by_decision.drop_nulls("rank_ic")
    times, ics = rows["decision_time"].to_numpy(), rows["rank_ic"].to_numpy()
    rolling = rows["rank_ic"].rolling_mean(_ROLLING_DECISIONS, min_samples=10).to_numpy()

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        top.vlines(times, 0.0, ics, color=MUTED, linewidth=0.5, alpha=0.45)
        top.plot(times, rolling, color=HONEY, linewidth=2.0, label=f"mean of {_ROLLING_DECISIONS}")
        if ics.size:
            top.axhline(float(ics.mean()), color=BARK, linestyle="--", linewidth=1.0, label="mean")
        finish(top, "Rank IC", "rank correlation [-1, 1]")
        legend(top)
        bottom.fill_between(times, 0.0, np.cumsum(ics), color=HONEY, alpha=0.35)
        bottom.plot(times, np.cumsum(ics), color=BARK, linewidth=1.2)
        finish(bottom, "Rank IC summed", "sum of rank ICs", "decision (UTC)")

    return draw_figure(draw, rows=2)


def quantile_spread(evaluation: Evaluation) -> bytes:
    """Mean excess return of each forecast quantile, and the spread's growth net of costs."""
    table, rows = evaluation.quantiles, evaluation.by_decision.drop_nulls("spread_net")
    means, errors = table["mean_return"].to_numpy() * 1e4, table["error"].to_numpy() * 1e4

    def draw(axes: Sequence[Axes]) -> None:
        left, right = axes
        colours = [LEAF if m >= 0 else RUST for m in means]
        left.bar(table["quantile"].to_list(), means, yerr=errors, color=colours, capsize=3)
        left.set_xticks(table["quantile"].to_list())
        finish(left, "Return by quantile", "excess return [bps a horizon]", "forecast quantile")
        times = rows["decision_time"].to_numpy()
        for column, colour, name in (("spread", MUTED, "gross"), ("spread_net", BARK, "net")):
            total = np.cumsum(rows[column].to_numpy()) * 100.0
            right.plot(times, total, color=colour, linewidth=1.5, label=name)
        finish(right, "Top less bottom, summed", "sum over decisions [%]", "decision (UTC)")
        legend(right)

    return draw_figure(draw, columns=2)


def calibration(evaluation: Evaluation) -> bytes:
    """Realised against expected return in bins, with the line of honesty."""
    table = evaluation.calibration

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        if table.is_empty():
            axis.text(0.5, 0.5, "no expected returns", ha="center", transform=axis.transAxes)
        else:
            x, y = table["expected"].to_numpy() * 1e4, table["realised"].to_numpy() * 1e4
            error = 1.96 * table["error"].fill_null(0.0).to_numpy() * 1e4
            axis.errorbar(x, y, yerr=error, fmt="o", color=BARK, ecolor=MUTED, capsize=3)
            ends = np.array([x.min(), x.max()])
            axis.plot(ends, ends, color=HONEY, linewidth=2.0, label="realised = expected")
            legend(axis)
        finish(
            axis, "Calibration (bars: 95 %)", "realised [bps a horizon]", "expected [bps a horizon]"
        )

    return draw_figure(draw)


def importance(table: pl.DataFrame, top: int = 20) -> bytes:
    """The features that won most: share of the total gain. `table`: feature, gain_share."""
    rows = table.head(top).reverse()

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        axis.barh(rows["feature"].to_list(), rows["gain_share"].to_numpy() * 100.0, color=HONEY)
        finish(axis, "Feature importance", "", "share of gain [%]")

    return draw_figure(draw, height=max(3.0, 0.28 * rows.height + 1.2))


def drift(report: pl.DataFrame, top: int = 20) -> bytes:
    """The most drifted features, with the customary bounds. `report`: as `drift.drift` gives."""
    rows = report.head(top).reverse()
    colours = [{"stable": LEAF, "watch": HONEY}.get(v, RUST) for v in rows["level"].to_list()]

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        axis.barh(rows["feature"].to_list(), rows["psi_excess"].to_numpy(), color=colours)
        for bound, name in ((0.1, "watch"), (0.25, "drifted")):
            axis.axvline(bound, color=INK, linestyle=":", linewidth=1.0, label=f"{name}: {bound}")
        legend(axis)
        finish(axis, "Drift of features", "", "population stability index less its noise [1]")

    return draw_figure(draw, height=max(3.0, 0.28 * rows.height + 1.2))


def equity_drawdown(
    times: pl.Series | Sequence[datetime], returns: Series, *, title: str = "Equity, net of costs"
) -> bytes:
    """Growth of 1 and how far it stood below its high. `returns`: fractions, one per time."""
    values = np.asarray(returns, dtype=np.float64)
    if values.shape != (len(times),) or not np.isfinite(values).all():
        raise ValueError(f"returns must be {len(times)} finite values, were {values.shape}")
    moments = pl.Series(times).to_numpy()

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        top.plot(moments, equity(values)[1:], color=BARK, linewidth=1.5)
        finish(top, title, "value of 1 [1]")
        depth = -drawdowns(values) * 100.0
        bottom.fill_between(moments, depth, 0.0, color=RUST, alpha=0.5)
        finish(bottom, "Drawdown", "below the high [%]", "time (UTC)")

    return draw_figure(draw, rows=2)
