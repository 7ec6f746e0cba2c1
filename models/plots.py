"""Pictures of a model's record as PNG bytes: drawn without a display or any global state."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.evaluation import Evaluation
from models.statistics import Series, drawdowns, equity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, HONEY, BARK, LEAF, RUST = (
    *("#2b2b2b", "#8a8a8a", "#e0a100"),
    *("#6b4f1d", "#4f7f52", "#b5482f"),
)
_ROLLING_DECISIONS = 63


def to_markdown(png: bytes, alt: str) -> str:
    """Return the picture as a Markdown image, the form in which run metadata shows it."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def ic_over_time(evaluation: Evaluation) -> bytes:
    """Rank IC of each decision, its rolling mean, and the sum so far."""
    rows = evaluation.by_decision.drop_nulls("rank_ic")
    times, ics = rows["decision_time"].to_numpy(), rows["rank_ic"].to_numpy()
    rolling = rows["rank_ic"].rolling_mean(_ROLLING_DECISIONS, min_samples=10).to_numpy()

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        top.vlines(times, 0.0, ics, color=MUTED, linewidth=0.5, alpha=0.45)
        top.plot(times, rolling, color=HONEY, linewidth=2.0, label=f"mean of {_ROLLING_DECISIONS}")
        top.axhline(float(ics.mean()), color=BARK, linestyle="--", linewidth=1.0, label="mean")
        _finish(top, "Rank IC", "rank correlation [-1, 1]")
        _legend(top)
        bottom.fill_between(times, 0.0, np.cumsum(ics), color=HONEY, alpha=0.35)
        bottom.plot(times, np.cumsum(ics), color=BARK, linewidth=1.2)
        _finish(bottom, "Rank IC summed", "sum of rank ICs", "decision (UTC)")

    return _figure(draw, rows=2)


def quantile_spread(evaluation: Evaluation) -> bytes:
    """Mean excess return of each forecast quantile, and the spread's growth net of costs."""
    table, rows = evaluation.quantiles, evaluation.by_decision.drop_nulls("spread_net")
    means, errors = table["mean_return"].to_numpy() * 1e4, table["error"].to_numpy() * 1e4

    def draw(axes: Sequence[Axes]) -> None:
        left, right = axes
        colours = [LEAF if m >= 0 else RUST for m in means]
        left.bar(table["quantile"].to_list(), means, yerr=errors, color=colours, capsize=3)
        left.set_xticks(table["quantile"].to_list())
        _finish(left, "Return by quantile", "excess return [bps a horizon]", "forecast quantile")
        times = rows["decision_time"].to_numpy()
        for column, colour, name in (("spread", MUTED, "gross"), ("spread_net", BARK, "net")):
            total = np.cumsum(rows[column].to_numpy()) * 100.0
            right.plot(times, total, color=colour, linewidth=1.5, label=name)
        _finish(right, "Top less bottom, summed", "sum over decisions [%]", "decision (UTC)")
        _legend(right)

    return _figure(draw, columns=2)


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
            _legend(axis)
        _finish(
            axis, "Calibration (bars: 95 %)", "realised [bps a horizon]", "expected [bps a horizon]"
        )

    return _figure(draw)


def importance(table: pl.DataFrame, top: int = 20) -> bytes:
    """The features that won most: share of the total gain. `table`: feature, gain_share."""
    rows = table.head(top).reverse()

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        axis.barh(rows["feature"].to_list(), rows["gain_share"].to_numpy() * 100.0, color=HONEY)
        _finish(axis, "Feature importance", "", "share of gain [%]")

    return _figure(draw, height=max(3.0, 0.28 * rows.height + 1.2))


def drift(report: pl.DataFrame, top: int = 20) -> bytes:
    """The most drifted features, with the customary bounds. `report`: as `drift.drift` gives."""
    rows = report.head(top).reverse()
    colours = [{"stable": LEAF, "watch": HONEY}.get(v, RUST) for v in rows["level"].to_list()]

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        axis.barh(rows["feature"].to_list(), rows["psi_excess"].to_numpy(), color=colours)
        for bound, name in ((0.1, "watch"), (0.25, "drifted")):
            axis.axvline(bound, color=INK, linestyle=":", linewidth=1.0, label=f"{name}: {bound}")
        _legend(axis)
        _finish(axis, "Drift of features", "", "population stability index less its noise [1]")

    return _figure(draw, height=max(3.0, 0.28 * rows.height + 1.2))


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
        _finish(top, title, "value of 1 [1]")
        depth = -drawdowns(values) * 100.0
        bottom.fill_between(moments, depth, 0.0, color=RUST, alpha=0.5)
        _finish(bottom, "Drawdown", "below the high [%]", "time (UTC)")

    return _figure(draw, rows=2)


def _figure(
    draw: Callable[[Sequence[Axes]], None], rows: int = 1, columns: int = 1, height: float = 0.0
) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (9.0 if columns == 2 else 8.0, height or (5.2 if rows == 2 else 4.0))
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    draw([figure.add_subplot(rows, columns, k + 1) for k in range(rows * columns)])
    out = io.BytesIO()
    # Without the software stamp the same record gives the same bytes.
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _finish(axis: Axes, title: str, y: str, x: str = "") -> None:
    axis.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axis.set_xlabel(x, color=INK)
    axis.set_ylabel(y, color=INK)
    axis.grid(True, color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=8)
    if axis.name == "rectilinear" and x.endswith("(UTC)"):
        axis.tick_params(axis="x", labelrotation=20)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _legend(axis: Axes) -> None:
    axis.legend(frameon=False, fontsize=8)
