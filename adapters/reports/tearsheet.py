"""Tearsheets: one self-contained page for an experiment, or for several side by side."""

import hashlib
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import plotly.graph_objects as go
import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from adapters.reports.charts import chart_html
from adapters.reports.palette import GAIN, GRID, HONEY, INK, LOSS, SLATE, series_colour

Figures = Mapping[str, object]
_SHOWN_MAX = 12  # lines that can still be told apart; the table has every one
_COLUMNS_MAX = 4  # points whose labels fit beside each other
_ROLLING = 63
_PERCENT = {"annual_return", "annual_volatility", "drawdown_max", "hit_rate", "overfitting"}
_PERCENT |= {"probabilistic", "deflated", "alpha", "value_at_risk_95", "expected_shortfall_95"}
_PERCENT |= {"deflated_active"}
_TILES = ("sharpe", "deflated", "information_ratio", "deflated_active", "trials", "annual_return")
_TILES += ("annual_volatility", "drawdown_max", "overfitting", "spa", "spa_active")
_TILES += ("track_record_min", "sessions")
_SURE = 0.95
_LUCK, _SKILL = "this may be luck", "more than luck"
_HERE = Path(__file__).parent
_MADE_BY = ("tearsheet.py", "tearsheet.html.j2", "charts.py", "palette.py")
_HEAD_BYTES = 4_096  # what a page was made from stands within these


class TearsheetPages:
    """Writes pages below `root`, one file each, readable offline."""

    def __init__(self, root: Path) -> None:
        self._root = Path(root)

    def write(
        self,
        name: str,
        note: str,
        rows: pl.DataFrame,
        parts: pl.DataFrame,
        figures: Mapping[str, Figures],
        made_from: str = "",
        peeks: Mapping[str, str] | None = None,
    ) -> Path:
        """Write NAME.html over rows and parts with a `label`, and the figures of each label.

        The first label of `figures` is the one that the page speaks of, and the parts are its own.
        `made_from` names what went into the page, so that `find` knows it again. `peeks` tells by
        label what the look-ahead guard found: of those no figure holds, and the page says so first.
        """
        first, seen = next(iter(figures)), dict(peeks or {})
        best = figures[first]
        environment = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
        )
        page = environment.get_template("tearsheet.html.j2").render(
            title=name.replace("_", " ").capitalize(),
            note=note,
            made_from=_stamp(made_from),
            verdict=f"{first}, after {best.get('trials')} trials on record:",
            against=[*_looked_ahead(seen), *([] if first in seen else _against(best))],
            tiles=[(key.replace("_", " "), _text(key, best.get(key))) for key in _TILES],
            table=_table(figures),
            charts=_charts(rows, parts, list(figures)),
            plotly=get_plotlyjs(),
        )
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_text(page, encoding="utf-8")
        return part.replace(path)

    def find(self, name: str, made_from: str) -> Path | None:
        """Return the page where it was made from the same by this code, None where it was not."""
        path = self._path(name)
        if not path.is_file():
            return None
        with path.open("rb") as page:
            head = page.read(_HEAD_BYTES)
        return path if f'content="{_stamp(made_from)}"'.encode() in head else None

    def _path(self, name: str) -> Path:
        return self._root / f"{name}.html"


def _stamp(made_from: str) -> str:
    return f"{made_from} {_page_code()}"


@cache
def _page_code() -> str:
    digest = hashlib.sha256()
    for name in _MADE_BY:
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def _looked_ahead(seen: Mapping[str, str]) -> list[tuple[str, bool]]:
    told = "looks ahead, no figure of it holds"
    return [(f"{name} {told}: {why}.", True) for name, why in seen.items()]


def _table(figures: Mapping[str, Figures]) -> list[list[str]]:
    """Return heads and lines: one column a point while they fit on a screen, else one line."""
    names = list(next(iter(figures.values())))
    points = [
        [label, *(_text(name, told.get(name)) for name in names)] for label, told in figures.items()
    ]
    lines = [["", *(name.replace("_", " ") for name in names)], *points]
    if len(points) > _COLUMNS_MAX:
        return lines
    return [list(column) for column in zip(*lines, strict=True)]


def _against(told: Figures) -> list[tuple[str, bool]]:
    """Return what is left beside zero and beside the benchmark, each with whether it is luck."""
    compared = (
        ("deflated", "Against zero: the chance of a true ratio above zero is"),
        (
            "deflated_active",
            "Against the benchmark: the chance that the true ratio of the returns over the "
            "benchmark's is above zero is",
        ),
    )
    lines: list[tuple[str, bool]] = []
    for key, sentence in compared:
        chance = told.get(key)
        luck = not isinstance(chance, float) or chance < _SURE
        told_chance = _text(key, chance) if isinstance(chance, float) else "not known"
        lines.append((f"{sentence} {told_chance}: {_LUCK if luck else _SKILL}.", luck))
    return lines


def _charts(rows: pl.DataFrame, parts: pl.DataFrame, labels: list[str]) -> list[tuple[str, str]]:
    shown = labels[:_SHOWN_MAX]
    series = {label: rows.filter(pl.col("label") == label).sort("event_time") for label in shown}
    drawn: list[tuple[str, go.Figure]] = [
        ("Equity after costs, start = 100", _equity(series)),
        ("Drawdown", _lines(series, _drawdown, percent=True)),
        (f"Sharpe ratio of {_ROLLING} sessions", _lines(series, _rolling)),
        ("Gross exposure, fraction of NAV", _lines(series, lambda r: r["gross"], percent=True)),
        ("Turnover of a session, fraction of NAV", _lines(series, lambda r: r["turnover"])),
        (f"Months of {labels[0]}, %", _months(series[labels[0]])),
    ]
    own = parts.filter(pl.col("label") == labels[0])
    for kind in ("sense", "instrument", "cost", "currency"):
        told = own.filter(pl.col("kind") == kind)
        if told.height:
            drawn.append(_added(kind, told, series[labels[0]], labels[0]))
    return [(title, chart_html(figure)) for title, figure in drawn]


def _level(changes: pl.Series) -> pl.Series:
    return (1.0 + changes).cum_prod() * 100.0


def _drawdown(rows: pl.DataFrame) -> pl.Series:
    level = _level(rows["net_return"])
    return level / level.cum_max().clip(lower_bound=100.0) - 1.0


def _rolling(rows: pl.DataFrame) -> pl.Series:
    changes = rows["net_return"]
    spread = changes.rolling_std(_ROLLING)
    ratio = changes.rolling_mean(_ROLLING) / spread * 252**0.5
    return pl.select(pl.when(spread > 1e-12).then(ratio)).to_series()


def _equity(series: Mapping[str, pl.DataFrame]) -> go.Figure:
    figure = _lines(series, lambda rows: _level(rows["net_return"]))
    longest = max(series.values(), key=lambda rows: rows.height)
    if longest["benchmark_return"].abs().sum() > 0:
        level = _level(longest["benchmark_return"])
        figure.add_trace(_line(longest, level, "benchmark", SLATE, dash="dot"))
    return figure


def _lines(
    series: Mapping[str, pl.DataFrame],
    values: Callable[[pl.DataFrame], pl.Series],
    *,
    percent: bool = False,
) -> go.Figure:
    figure = _figure()
    for number, (label, rows) in enumerate(series.items()):
        colour = HONEY if number == 0 else series_colour(number)
        figure.add_trace(_line(rows, values(rows), label, colour, width=2.2 if number == 0 else 1))
    if percent:
        figure.update_yaxes(tickformat=".0%")
    return figure


def _line(
    rows: pl.DataFrame,
    values: pl.Series,
    name: str,
    colour: str,
    *,
    width: float = 1.2,
    dash: str = "solid",
) -> go.Scatter:
    style = {"color": colour, "width": width, "dash": dash}
    days = rows["event_time"].dt.date().to_numpy()  # arrays are not copied value by value
    return go.Scatter(x=days, y=values.to_numpy(), name=name, mode="lines", line=style)


def _months(rows: pl.DataFrame) -> go.Figure:
    told = (
        rows.group_by(year=pl.col("event_time").dt.year(), month=pl.col("event_time").dt.month())
        .agg(change=((1.0 + pl.col("net_return")).product() - 1.0) * 100.0)
        .sort("year", "month")
    )
    years = told["year"].unique().sort().to_list()
    cells: dict[tuple[int, int], float] = {(y, m): c for y, m, c in told.iter_rows()}
    grid = [[cells.get((year, month)) for month in range(1, 13)] for year in years]
    figure = _figure(height=120 + 34 * len(years))
    figure.add_trace(
        go.Heatmap(
            z=grid,
            x=list(range(1, 13)),
            y=[str(year) for year in years],
            colorscale=[[0.0, LOSS], [0.5, "#ffffff"], [1.0, GAIN]],
            zmid=0.0,
            texttemplate="%{z:.1f}",
            xgap=2,
            ygap=2,
        )
    )
    figure.update_xaxes(dtick=1, title="month")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def _added(kind: str, parts: pl.DataFrame, rows: pl.DataFrame, label: str) -> tuple[str, go.Figure]:
    """Return title and bars of what each name added to the whole return.

    A month's parts are of the NAV when it began: they count by what the book had grown to by then,
    so that instruments (or senses in their place), costs and currencies add up to the return.
    """
    grown = rows.select(
        "event_time", growth=(1.0 + pl.col("net_return")).cum_prod().shift(1, fill_value=1.0)
    ).unique("event_time", keep="first")
    whole = parts.join(grown, on="event_time", how="left").with_columns(
        pl.col("contribution") * pl.col("growth").fill_null(1.0)
    )
    total = whole.group_by("name").agg(pl.col("contribution").sum()).sort("contribution")
    shown = pl.concat([total.head(15), total.tail(15)]).unique(maintain_order=True)
    colours = [GAIN if value >= 0 else LOSS for value in shown["contribution"]]
    figure = _figure(height=90 + 20 * shown.height)
    figure.add_trace(
        go.Bar(
            x=shown["contribution"].to_list(),
            y=shown["name"].to_list(),
            orientation="h",
            marker={"color": colours},
        )
    )
    figure.update_layout(showlegend=False)
    sum_of = float(total["contribution"].sum())
    figure.update_xaxes(tickformat=".2%", title=f"of the first NAV; {sum_of:+.2%} together")
    costs = ", before costs" if kind in ("sense", "instrument") else ""
    return f"What each {kind} added to {label}{costs}", figure


def _figure(height: int = 300) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": INK, "size": 12},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.2},
        showlegend=True,
    )
    figure.update_xaxes(gridcolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    return figure


def _text(key: str, value: object) -> str:
    if not isinstance(value, int | float) or value != value:
        return "–"
    if key in _PERCENT:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
