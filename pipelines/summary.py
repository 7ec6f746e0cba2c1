"""What `apiary run` and `apiary status` print: data, checks, model, orders, NAV, and where."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from assets.cleaning_checks import quarantine
from assets.ingest import INGESTED
from assets.learning import realised_ic
from pipelines.chain import Stage
from pipelines.pins import model_names
from pipelines.resources import Workshop


def print_summary(console: Console, built: Workshop, stages: Sequence[Stage]) -> None:
    """Print the tables; what is not there yet is said to be missing."""
    data = data_table(built)
    if data.row_count:
        console.print(data)
    console.print(result_table(built))
    failed = [line for stage in stages for line in stage.failed_checks]
    for line in failed:
        console.print(f"[yellow]check[/] {escape(line)}", highlight=False)
    if stages:
        total = sum(stage.seconds for stage in stages)
        console.print(f"{len(stages)} runs in {total:.1f} s", highlight=False)


def data_table(built: Workshop) -> Table:
    """Return what was ingested, what passed and what was put aside, by table."""
    tables: Any = built.get("tables")
    shown = Table(title="Data", title_justify="left")
    for name in ("table", "ingested", "clean", "quarantined", "newest"):
        shown.add_column(name, justify="left" if name in ("table", "newest") else "right")
    aside = quarantine(tables)["table"].value_counts()
    bad = dict(aside.iter_rows())
    for name in INGESTED:
        if not tables.exists(f"raw_{name}"):
            continue
        times: pl.Series = tables.read(f"raw_{name}", columns=["event_time"])["event_time"]
        if times.is_empty():
            continue
        clean = (
            tables.read(f"clean_{name}", columns=["event_time"])["event_time"]
            if tables.exists(f"clean_{name}")
            else times.clear()
        )
        shown.add_row(
            name,
            f"{times.len():,}",
            f"{clean.len():,}",
            f"{bad.get(name, 0):,}",
            # Of what passed: a row of the year 2031 is in quarantine, and no news.
            f"{(times if clean.is_empty() else clean).max():%Y-%m-%d}",
        )
    return shown


def _rows(built: Workshop, table: str) -> pl.DataFrame | None:
    tiered: Any = built.get("rows")
    try:
        return tiered.query(table)
    except KeyError:
        return None


def result_table(built: Workshop) -> Table:
    """Return model, decisions, orders, fills, NAV and the places of things."""
    shown = Table(title="Book", title_justify="left", show_header=False)
    shown.add_column("what")
    shown.add_column("value", overflow="fold")
    for what, value in [*_model(built), *_book(built), *_places(built)]:
        shown.add_row(what, value)
    return shown


def _model(built: Workshop) -> list[tuple[str, str]]:
    if not model_names(built.home / "models"):  # a home that only trades needs no desk for it
        return [("model", "none yet")]
    registry: Any = built.get("registry")
    desk: Any = built.get("desk")
    version = registry.find_stage(desk.model_name, "champion")
    if version is None:
        return [("model", "none yet")]
    metrics = registry.card(desk.model_name, version)["metrics"]
    ics = realised_ic(desk, built.get("tables"))["ic"].drop_nulls()  # type: ignore[arg-type]  # built by name
    live = f"{ics.mean():+.4f} over {ics.len()} sessions" if ics.len() else "none yet"
    return [
        ("champion", f"{desk.model_name} {version}"),
        ("rank IC held out", held_out_ic(metrics)),
        ("rank IC since", live),
    ]


def held_out_ic(metrics: Mapping[str, float]) -> str:
    """Return the rank IC on the fold that chose nothing, or why there is none."""
    measured = metrics.get("rank_ic", math.nan)
    return f"{measured:+.4f}" if math.isfinite(measured) else "none: too few instruments a day"


def _book(built: Workshop) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    decisions = _rows(built, "decisions")
    if decisions is not None:
        lines.append(("sessions decided", f"{decisions['session'].n_unique():,}"))
    orders = _rows(built, "orders")
    if orders is not None:
        denied = orders.filter(pl.col("verdict") == "denied").height
        lines.append(("orders", f"{orders.height:,}, {denied:,} denied by the gate"))
    fills = _rows(built, "fills")
    if fills is not None:
        lines.append(("fills", f"{fills.height:,}, costs {fills['cost'].sum():,.2f}"))
    nav = _rows(built, "nav")
    if nav is not None and nav.height:
        ordered = nav.sort("session")
        first, last = ordered["nav"][0], ordered["nav"][-1]
        worst = ordered["drawdown_fraction"].max()
        lines.append(
            (
                "NAV",
                f"{last:,.2f} {built.settings.base_currency} on {ordered['session'][-1]} "
                f"({last / first - 1:+.2%}, worst drawdown {worst:.2%})",
            )
        )
    return lines


def _places(built: Workshop) -> list[tuple[str, str]]:
    home = built.home
    places = {
        "tables": home / "cold",
        "event log": home / "warm" / "events.db",
        "data docs": home / "quality",
        "report": home / "report" / "index.html",
    }
    return [(name, str(path)) for name, path in places.items() if path.exists()] + [
        ("next", "make ui, or apiary explain")
    ]


_TOUCHED_SHOWN = ("order_id", "session", "instrument_id", "touch", "features")


def orders_table(rows: pl.DataFrame, title: str) -> Table:
    """Return rows as a table for the terminal: at most forty, and what fits beside an order id."""
    first = min(rows.height, 40)
    more = "" if first == rows.height else f", the first {first} of them"
    shown = Table(
        title=f"{title}: {rows.height}{more}",
        title_justify="left",
        caption="--json prints all rows, with decision and model",
        caption_justify="left",
    )
    for name in _TOUCHED_SHOWN:
        shown.add_column(name, overflow="fold", no_wrap=name != "features")
    for row in rows.head(first).select(_TOUCHED_SHOWN).iter_rows():
        shown.add_row(*(str(value) for value in row))
    return shown
