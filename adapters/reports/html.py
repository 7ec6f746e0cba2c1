"""The HTML report: one file, everything inside, readable offline and on a phone."""

import os
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from adapters.reports import measures
from adapters.reports.charts import CHARTS, chart_html
from adapters.reports.data import ReportData

_ROWS_SHOWN = 200
_TEMPLATES = Path(__file__).parent
# Which rows a picture needs; without them the page says so instead of drawing nothing.
_NEEDS = {
    "equity": "nav",
    "drawdown": "nav",
    "exposures": "nav",
    "weights": "positions",
    "senses": "contributions",
    "trails": "trails",
    "regimes": "regimes",
    "model_ic": "model_ic",
    "costs": "fills",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure at the head of the page; `tone` is "good", "bad" or ""."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of the page: its columns, which of them are numbers, and its rows as text."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    row_count: int


def render_report(data: ReportData, path: Path) -> Path:
    """Write the report to `path` in one step and return it; the folder is made if need be."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        data=data,
        tiles=tiles(data),
        charts={name: _chart(name, data) for name in CHARTS},
        plotly=get_plotlyjs(),
        trades=trades(data),
        quarantine=grid(measures.quarantine_counts(data.quarantine)),
        quarantined=grid(_quarantined(data.quarantine)),
        places=grid(data.places),
        model={k: text(v) for k, v in data.model.items()},
        facts={k: text(v) for k, v in data.facts.items()},
        text=text,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(page, encoding="utf-8")
    return part.replace(path)


def _chart(name: str, data: ReportData) -> str | None:
    rows: pl.DataFrame = getattr(data, _NEEDS[name])
    return None if rows.is_empty() else chart_html(CHARTS[name](data))


def tiles(data: ReportData) -> list[Tile]:
    """Return the figures at the head of the page."""
    result = measures.performance(data.nav)
    denied = data.orders.filter(pl.col("verdict") == "denied").height
    mean_ic = data.model_ic["ic"].drop_nans().mean()
    costs = ", ".join(
        _money(float(rows["cost"].sum()), currency)
        for currency, rows in measures.costs(data.fills, data.base_currency).items()
    )
    return [
        Tile("NAV", _money(result.nav, data.base_currency), f"{result.sessions} sessions"),
        Tile("Return", _percent(result.total_return), "net of costs", _tone(result.total_return)),
        Tile(data.benchmark_name, _percent(result.benchmark_return), "same sessions"),
        Tile("Sharpe ratio", _decimal(result.sharpe), "a year, risk-free 0"),
        Tile("Volatility", _percent(result.annual_volatility, sign=False), "a year"),
        Tile("Largest drawdown", _percent(_negative(result.drawdown_max)), "from the high"),
        Tile("Orders", f"{data.orders.height:,}", f"{denied:,} denied by the gate"),
        Tile(
            "Fills", f"{data.fills.height:,}", f"{costs or _money(0.0, data.base_currency)} costs"
        ),
        Tile("Model IC", _decimal(mean_ic if isinstance(mean_ic, float) else None, 3), "mean rank"),
        Tile("Quarantined", f"{data.quarantine.height:,}", "rows, with reasons"),
    ]


def trades(data: ReportData) -> Grid:
    """Return the newest orders with what became of them, the newest first."""
    filled = data.fills.group_by("order_id").agg(
        filled=pl.col("quantity").sum(),
        price=(pl.col("price") * pl.col("quantity")).sum() / pl.col("quantity").sum(),
        cost=pl.col("cost").sum(),
        slippage_bps=pl.col("slippage_bps").mean(),
    )
    rows = data.orders.join(filled, on="order_id", how="left").sort(
        "event_time", "order_id", descending=[True, False]
    )
    shown = rows.select(
        "session",
        instrument="instrument_id",
        side="side",
        quantity="quantity",
        reference="reference_price",
        price=pl.col("price").round(4),
        slippage_bps=pl.col("slippage_bps").round(1),
        cost=pl.col("cost").round(2),
        status="status",
        denial="denial_code",
        order="order_id",
    )
    return grid(shown)


def _quarantined(rows: pl.DataFrame) -> pl.DataFrame:
    columns = ["event_time", "table", "kind", "severity", "confidence", "reason"]
    ordered = rows.sort("event_time", descending=True, nulls_last=True)
    return ordered.select(*columns, "source", "source_row")


def grid(rows: pl.DataFrame) -> Grid:
    """Return the first rows of a frame as text."""
    return Grid(
        columns=tuple(c.replace("_", " ") for c in rows.columns),
        numeric=tuple(t.is_numeric() for t in rows.dtypes),
        rows=tuple(tuple(text(v) for v in row) for row in rows.head(_ROWS_SHOWN).iter_rows()),
        row_count=rows.height,
    )


def text(value: object) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return "–" if value != value else f"{value:,.6g}"
        case int():
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _money(value: float | None, currency: str) -> str:
    return "–" if value is None else f"{value:,.0f} {currency}"


def _percent(value: float | None, *, sign: bool = True) -> str:
    if value is None:
        return "–"
    return f"{value:+.2%}" if sign else f"{value:.2%}"


def _decimal(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _tone(value: float | None) -> str:
    return "" if value is None else "good" if value >= 0 else "bad"
