"""The pictures of the HTML report, in plotly."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import polars as pl

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
    SEQUENTIAL,
    SLATE,
    series_colour,
)

_FONT = "Inter, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False}
_SECOND_LINE = -0.22  # a legend below the picture leaves its whole width to the data


def chart_html(figure: go.Figure) -> str:
    """Return a figure as a div without the library, which the page holds once."""
    return figure.to_html(full_html=False, include_plotlyjs=False, config=_CONFIG)


def equity(data: ReportData) -> go.Figure:
    """Draw the book against the benchmark, both 100 at the start."""
    rows = measures.equity(data.nav)
    figure = _figure(height=340)
    if rows["benchmark"].null_count() < rows.height:
        figure.add_trace(_line(rows, "benchmark", data.benchmark_name, SLATE))
    figure.add_trace(_line(rows, "strategy", "Colony", HONEY, width=2.4))
    return _titled(figure, y="start = 100")


def drawdown(data: ReportData) -> go.Figure:
    """Draw how far below its high the book stood."""
    rows = measures.drawdown(data.nav)
    figure = _figure(height=240)
    if rows["benchmark"].null_count() < rows.height:
        figure.add_trace(_line(rows, "benchmark", data.benchmark_name, SLATE, width=1))
    area = _line(rows, "strategy", "Colony", LOSS, width=1.6)
    area.update(fill="tozeroy", fillcolor="rgba(194,65,59,0.15)")
    figure.add_trace(area)
    return _titled(figure, percent=True)


def exposures(data: ReportData) -> go.Figure:
    """Draw gross and net exposure as fractions of NAV."""
    rows = data.nav.sort("session")
    figure = _figure(height=260)
    figure.add_trace(_line(rows, "gross", "Gross", INK))
    figure.add_trace(_line(rows, "net", "Net", HONEY))
    return _titled(figure, percent=True)


def weights(data: ReportData) -> go.Figure:
    """Draw the weights of the largest positions, longs above zero and shorts below."""
    rows = measures.weights(data.positions)
    figure = _figure(height=340)
    for index, name in enumerate(rows.columns[1:]):
        for sign in (1, -1):
            figure.add_trace(_side(rows, name, series_colour(index), sign))
    return _titled(figure, percent=True)


def senses(data: ReportData) -> go.Figure:
    """Draw how much each sense moved the convictions, session by session."""
    return _stack(measures.sense_shares(data.contributions), "mean |contribution|")


def regimes(data: ReportData) -> go.Figure:
    """Draw the queen's posterior over the regimes."""
    figure = _stack(measures.regime_shares(data.regimes), "", height=240)
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def trails(data: ReportData) -> go.Figure:
    """Draw the trails as a heat map, with a menu of the channels."""
    names = measures.channels(data.trails)
    maps = [measures.trail_map(data.trails, n) for n in names]
    figure = _figure(height=max(280, 90 + 17 * maps[0].height) if maps else 280)
    for index, (name, rows) in enumerate(zip(names, maps, strict=True)):
        figure.add_trace(_heat(name, rows, visible=index == 0))
    figure.update_layout(updatemenus=[_menu(names)], margin={"t": 52})
    figure.update_yaxes(showgrid=False, tickfont={"size": 10})
    return figure


def model_ic(data: ReportData) -> go.Figure:
    """Draw the rank IC of each session and its rolling mean."""
    rows = measures.ic_curve(data.model_ic)
    figure = _figure(height=260)
    colours = [GAIN if v >= 0 else LOSS for v in rows["ic"]]
    figure.add_trace(
        go.Bar(
            x=rows["session"].to_list(),
            y=_rounded(rows, "ic"),
            name="Rank IC",
            marker={"color": colours, "opacity": 0.45, "line": {"width": 0}},
        )
    )
    figure.add_trace(_line(rows, "mean", "Mean of 21", INK, width=2))
    return _titled(figure)


def costs(data: ReportData) -> go.Figure:
    """Draw what trading cost so far, and the slippage of each session, by currency."""
    told = measures.costs(data.fills, data.base_currency)
    figure = _figure(height=260)
    for index, (currency, rows) in enumerate(told.items()):
        of_many = f" in {currency}" if len(told) > 1 else ""
        figure.add_trace(
            go.Bar(
                x=rows["session"].to_list(),
                y=_rounded(rows, "slippage_bps"),
                name=f"Slippage{of_many}, bps (right)",
                yaxis="y2",
                marker={
                    "color": series_colour(index) if index else SLATE,
                    "opacity": 0.5,
                    "line": {"width": 0},
                },
            )
        )
    for index, (currency, rows) in enumerate(told.items()):
        colour = series_colour(index) if index else HONEY
        figure.add_trace(_line(rows, "cumulative", f"Costs, {currency}", colour, width=2.2))
    right = {"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False}
    right |= {"tickmode": "auto", "tickformat": ".0f"}
    figure.update_layout(yaxis2=right)
    return _titled(figure)


CHARTS: dict[str, Callable[[ReportData], go.Figure]] = {
    "equity": equity,
    "drawdown": drawdown,
    "exposures": exposures,
    "weights": weights,
    "senses": senses,
    "trails": trails,
    "regimes": regimes,
    "model_ic": model_ic,
    "costs": costs,
}


def _figure(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"family": _FONT, "size": 12, "color": INK},
        hovermode="x unified",
        hoverlabel={"font": {"size": 11}},
        legend={"orientation": "h", "x": 0, "y": _SECOND_LINE, "yanchor": "top"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_xaxes(showgrid=False, linecolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#c9d1d9", automargin=True)
    return figure


def _titled(figure: go.Figure, *, y: str = "", percent: bool = False) -> go.Figure:
    if y:
        figure.update_yaxes(title={"text": y, "font": {"size": 11, "color": MUTED}})
    if percent:
        figure.update_layout(yaxis={"tickformat": ".0%", "hoverformat": ".2%"})
    return figure


def _rounded(rows: pl.DataFrame, column: str) -> list[float | None]:
    # Five significant digits are more than a screen shows, and a third of the bytes.
    return rows[column].fill_nan(None).round_sig_figs(5).to_list()


def _line(
    rows: pl.DataFrame, column: str, name: str, colour: str, width: float = 1.6
) -> go.Scatter:
    return go.Scatter(
        x=rows["session"].to_list(),
        y=_rounded(rows, column),
        name=name,
        mode="lines" if rows.height > 1 else "markers",
        line={"color": colour, "width": width},
    )


def _side(rows: pl.DataFrame, name: str, colour: str, sign: int) -> go.Scatter:
    """Return the area of one position's longs (sign 1) or shorts (-1).

    Longs and shorts are stacked apart, or a position that changes sides would tear the stack.
    """
    part = rows.select(
        "session", pl.col(name).clip(0, None) if sign > 0 else pl.col(name).clip(None, 0)
    )
    area = _line(part, name, name, colour, width=0.3)
    area.update(stackgroup=f"side {sign}", legendgroup=name, showlegend=sign > 0)
    if sign > 0:
        return area.update(customdata=_rounded(rows, name), hovertemplate="%{customdata:.1%}")
    return area.update(hoverinfo="skip")


def _stack(rows: pl.DataFrame, title: str, height: int = 320) -> go.Figure:
    figure = _figure(height)
    for index, name in enumerate(rows.columns[1:]):
        line = _line(rows, name, name, series_colour(index), width=0.6)
        line.update(stackgroup="all")
        figure.add_trace(line)
    return _titled(figure, y=title)


def _heat(name: str, rows: pl.DataFrame, *, visible: bool) -> go.Heatmap:
    values = rows.drop("instrument_id").cast(pl.Float64)
    levels = [[_short(v) for v in row] for row in values.iter_rows()]
    scale = DIVERGING if name == "net" else SEQUENTIAL
    return go.Heatmap(
        x=values.columns,
        y=rows["instrument_id"].to_list(),
        z=levels,
        name=name,
        visible=visible,
        colorscale=[list(stop) for stop in scale],
        zmid=0 if name == "net" else None,
        colorbar={"thickness": 10, "outlinewidth": 0},
        hovertemplate="%{y} %{x}: %{z}<extra></extra>",
    )


def _short(value: float | None) -> float | None:
    return None if value is None or value != value else float(f"{value:.4g}")


def _menu(names: Sequence[str]) -> dict[str, object]:
    buttons = [
        {"label": n, "method": "restyle", "args": ["visible", [n == m for m in names]]}
        for n in names
    ]
    place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "pad": {"t": 0, "b": 4}}
    return {"buttons": buttons, "type": "dropdown", "direction": "down", **place}
