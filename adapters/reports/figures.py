"""The report's pictures as PNG bytes, for run metadata in Dagster's UI."""

import io
from collections.abc import Callable

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from adapters.reports import measures
from adapters.reports.data import ReportData
from adapters.reports.palette import (
    DIVERGING,
    GAIN,
    GRID,
    HONEY,
    INK,
    LOSS,
    MUTED,
    SLATE,
    series_colour,
)

_SIZE_INCHES = (9.0, 3.6)
_DPI = 110
_SHORT_NAME = 12  # letters; of longer names six beside each other are wider than the picture


def all_figures(data: ReportData) -> dict[str, bytes]:
    """Return every picture that the data have rows for, by name, as PNG bytes."""
    return {name: png(name, data) for name, (rows, _) in _DRAWINGS.items() if rows(data).height}


def png(name: str, data: ReportData) -> bytes:
    """Return one picture; an empty one says so. Raises KeyError on an unknown name."""
    rows, draw = _DRAWINGS[name]
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    _style(axes)
    if rows(data).height:
        draw(axes, data)
    else:
        axes.text(0.5, 0.5, "no rows yet", ha="center", va="center", color=MUTED)
        axes.set_axis_off()
    buffer = io.BytesIO()
    # No date in the file: the same rows give the same bytes.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _equity(axes: Axes, data: ReportData) -> None:
    rows = measures.equity(data.nav)
    _line(axes, rows, "benchmark", data.benchmark_name, SLATE)
    _line(axes, rows, "strategy", "Colony", HONEY, 2.0)
    axes.set_title("Equity, start = 100", loc="left")
    _legend(axes)


def _drawdown(axes: Axes, data: ReportData) -> None:
    rows = measures.drawdown(data.nav)
    _line(axes, rows, "benchmark", data.benchmark_name, SLATE, 0.9)
    _line(axes, rows, "strategy", "Colony", LOSS)
    axes.fill_between(_days(rows), _values(rows, "strategy"), 0, color=LOSS, alpha=0.15, lw=0)
    axes.set_title("Drawdown", loc="left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legend(axes)


def _exposures(axes: Axes, data: ReportData) -> None:
    rows = data.nav.sort("session")
    _line(axes, rows, "gross", "Gross", INK)
    _line(axes, rows, "net", "Net", HONEY)
    axes.set_title("Exposure, fractions of NAV", loc="left")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legend(axes)


def _senses(axes: Axes, data: ReportData) -> None:
    _stack(axes, measures.sense_shares(data.contributions))
    axes.set_title("Contributions of the senses, mean absolute", loc="left")


def _regimes(axes: Axes, data: ReportData) -> None:
    _stack(axes, measures.regime_shares(data.regimes))
    axes.set_ylim(0, 1)
    axes.set_title("Posterior over the regimes", loc="left")


def _trails(axes: Axes, data: ReportData) -> None:
    channel = measures.channels(data.trails)[0]
    rows = measures.trail_map(data.trails, channel).reverse()
    levels = rows.drop("instrument_id").fill_null(0.0).to_numpy()
    reach = float(np.nanmax(np.abs(levels))) or 1.0
    colours = LinearSegmentedColormap.from_list("trails", list(DIVERGING))
    image = axes.imshow(
        levels,
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        norm=TwoSlopeNorm(0.0, -reach, reach),
    )
    axes.set_yticks(range(rows.height), rows["instrument_id"].to_list(), fontsize=6)
    days = rows.columns[1:]
    ticks = sorted({round(i) for i in np.linspace(0, len(days) - 1, min(6, len(days)))})
    axes.set_xticks(ticks, [days[i] for i in ticks])
    axes.grid(visible=False)
    axes.set_title(f"Trails: {channel}", loc="left")
    axes.figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01)


def _model_ic(axes: Axes, data: ReportData) -> None:
    rows = measures.ic_curve(data.model_ic)
    colours = [GAIN if v >= 0 else LOSS for v in rows["ic"]]
    axes.bar(_days(rows), _values(rows, "ic"), color=colours, alpha=0.4, width=1.0)
    _line(axes, rows, "mean", "mean of 21", INK, 1.8)
    axes.set_title("Rank IC of the forecasts", loc="left")
    _legend(axes)


def _costs(axes: Axes, data: ReportData) -> None:
    told = measures.costs(data.fills, data.base_currency)
    for index, (currency, rows) in enumerate(told.items()):
        _line(axes, rows, "cumulative", currency, series_colour(index) if index else HONEY, 2.0)
    axes.set_title(f"Cumulative costs, {' and '.join(told)}", loc="left")
    if len(told) > 1:
        _legend(axes)


_Rows = Callable[[ReportData], pl.DataFrame]
_DRAWINGS: dict[str, tuple[_Rows, Callable[[Axes, ReportData], None]]] = {
    "equity": (lambda d: d.nav, _equity),
    "drawdown": (lambda d: d.nav, _drawdown),
    "exposures": (lambda d: d.nav, _exposures),
    "senses": (lambda d: d.contributions, _senses),
    "trails": (lambda d: d.trails, _trails),
    "regimes": (lambda d: d.regimes, _regimes),
    "model_ic": (lambda d: d.model_ic, _model_ic),
    "costs": (lambda d: d.fills, _costs),
}


def _style(axes: Axes) -> None:
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)


def _days(rows: pl.DataFrame) -> np.ndarray:
    return rows["session"].to_numpy()


def _values(rows: pl.DataFrame, column: str) -> np.ndarray:
    return rows[column].cast(pl.Float64).to_numpy()


def _line(
    axes: Axes, rows: pl.DataFrame, column: str, label: str, colour: str, width: float = 1.4
) -> None:
    if rows[column].null_count() < rows.height:
        marker = "o" if rows.height == 1 else None
        axes.plot(
            _days(rows), _values(rows, column), color=colour, lw=width, label=label, marker=marker
        )


def _stack(axes: Axes, rows: pl.DataFrame) -> None:
    names = rows.columns[1:]
    colours = [series_colour(i) for i in range(len(names))]
    if rows.height == 1:
        axes.bar(names, [float(rows[n][0]) for n in names], color=colours)
        return
    axes.stackplot(
        _days(rows), *(_values(rows, n) for n in names), labels=names, colors=colours, alpha=0.85
    )
    _legend(axes)


def _legend(axes: Axes) -> None:
    longest = max((len(name) for name in axes.get_legend_handles_labels()[1]), default=0)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.1),
        ncols=6 if longest <= _SHORT_NAME else 4,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )
