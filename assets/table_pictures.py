"""Pictures of tables as PNG bytes: what came in, what was found, what was decided and traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from models.drawing import BARK, HONEY, LEAF, MUTED, RUST, draw_figure, finish, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (HONEY, BARK, LEAF, RUST, "#6f8faf", "#b79b6c", "#8c6fa3", MUTED)
_MONTHS_MAX = 240  # more bars than that are drawn by the year
_YEARS_DRAWN = (1600, 2400)  # a date beyond is a fault, and would leave no room for the others
_ROWS_MAX = 60  # a heat map of more rows shows the first of them, and says so
_SLIPPAGE_SHOWN_BPS = 300.0  # the histogram's edge; what lies beyond stands in the outer bins


def feature_coverage(rows: pl.DataFrame, features: Sequence[str]) -> bytes:
    """How much of each feature is known, by month: dark is complete."""
    monthly = (
        rows.group_by(pl.col("event_time").dt.truncate("1mo").alias("period"))
        .agg(pl.col(name).is_not_null().mean() for name in features)
        .sort("period")
    )
    shares = monthly.select(features).transpose().to_numpy()
    return _heat_map(
        shares, features, _labels(monthly["period"]), "Share of instruments with a value"
    )


def bar_coverage(bars: pl.DataFrame) -> bytes:
    """Bars of each instrument by month, as a share of the fullest instrument's: gaps are light."""
    counted = bars.group_by(
        "instrument_id", pl.col("event_time").dt.truncate("1mo").alias("period")
    ).agg(pl.col("event_time").n_unique().alias("count"))
    grid = counted.pivot("instrument_id", index="period", values="count").sort("period")
    ids = sorted(n for n in grid.columns if n != "period")
    counts = grid.select(ids).fill_null(0).to_numpy().T.astype(np.float64)
    counts /= np.maximum(counts.max(axis=0, keepdims=True), 1.0)
    return _heat_map(
        counts, ids, _labels(grid["period"]), "Bars a month, as a share of the fullest"
    )


def rows_over_time(rows: pl.DataFrame) -> bytes:
    """Rows of a table by month (by year over a long span), stacked by their source."""
    named = rows.with_columns(pl.col("source").str.split("@").list.first())  # without the hash

    def draw(axes: Sequence[Axes]) -> None:
        _stack(axes[0], named, "source")
        finish(axes[0], "Rows by event time", "rows [1]", "event time (UTC)")

    return draw_figure(draw, height=3.2)


def rows_and_findings(good: pl.DataFrame, findings: pl.DataFrame) -> bytes:
    """Rows that passed, over what validation found in the same span, by kind."""
    first = good["event_time"].min()
    dated = findings.filter(pl.col("event_time") >= first)

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        _stack(top, good.with_columns(all=pl.lit("clean")), "all")
        finish(top, "Rows that passed", "rows [1]")
        if dated.is_empty():
            bottom.text(0.5, 0.5, "nothing was found", ha="center", transform=bottom.transAxes)
            if good.height:
                bottom.xaxis_date()
            bottom.set_xlim(*top.get_xlim())
        else:
            _stack(bottom, dated, "kind")
        finish(
            bottom,
            "What was found, by kind",
            "findings [1]",
            "event time (UTC)",
        )

    return draw_figure(draw, rows=2)


def target_weights(decisions: pl.DataFrame) -> bytes:
    """What the colony wants to hold: target weight of every instrument at every session."""
    grid = decisions.pivot("session", index="instrument_id", values="target_weight").sort(
        "instrument_id"
    )
    sessions = sorted(n for n in grid.columns if n != "instrument_id")
    weights = grid.select(sessions).fill_null(0.0).to_numpy() * 100.0
    return _heat_map(
        weights,
        grid["instrument_id"].to_list(),
        sessions,
        "Target weight [% of NAV]: green long, red short",
        signed=True,
    )


def orders_by_session(orders: pl.DataFrame, currencies: Mapping[str, str]) -> bytes:
    """Orders of each session by what became of them, and the value that was asked for.

    `currencies` are those that instruments are quoted in; amounts of two are not summed.
    """
    quoted = pl.col("instrument_id").replace_strict(currencies, default="unknown currency")
    daily = (
        orders.drop_nulls("session")
        .group_by("session", quoted.cast(pl.String).alias("currency"))
        .agg((pl.col("quantity").abs() * pl.col("reference_price")).sum().alias("value"))
        .sort("session")
    )

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        fate = pl.when(pl.col("verdict") == "denied").then(pl.lit("denied"))
        judged = orders.with_columns(fate=fate.otherwise(pl.col("status")))
        _stack_on(top, judged, "session", "fate")
        finish(top, "Orders by session", "orders [1]")
        parts = _by_currency(daily)
        for number, (currency, rows) in enumerate(parts.items()):
            aside = np.timedelta64(6 * number, "h")  # beside each other, not over
            at = rows["session"].to_numpy().astype("datetime64[h]") + aside
            colour = _COLOURS[number % len(_COLOURS)]
            bottom.vlines(at, 0.0, rows["value"].to_numpy(), color=colour, label=currency)
        finish(bottom, "Value at the reference price", f"value {_unit(parts)}", "session (UTC)")
        if len(parts) > 1:
            legend(bottom)

    return draw_figure(draw, rows=2)


def slippage_and_costs(fills: pl.DataFrame) -> bytes:
    """How far fills stood from their orders' reference prices, and what they cost, summed.

    The costs of each currency have a line of their own.
    """
    slips = fills["slippage_bps"].drop_nulls().drop_nans().to_numpy()
    named = fills.drop_nulls("session").with_columns(
        pl.col("currency").fill_null("unknown currency")
    )
    costs = named.group_by("session", "currency").agg(pl.col("cost").sum()).sort("session")

    def draw(axes: Sequence[Axes]) -> None:
        left, right = axes
        edge = _SLIPPAGE_SHOWN_BPS
        left.hist(np.clip(slips, -edge, edge), bins=41, range=(-edge, edge), color=HONEY)
        if slips.size:
            middle = float(np.median(slips))
            left.axvline(middle, color=BARK, linestyle="--", label=f"median {middle:.1f} bps")
            legend(left)
        finish(left, "Slippage", "fills [1]", "worse than the reference price [bps]")
        parts = _by_currency(costs)
        for number, (currency, rows) in enumerate(parts.items()):
            total, colour = rows["cost"].cum_sum().to_numpy(), (RUST, *_COLOURS)[number % 9]
            at = rows["session"].to_numpy()
            right.step(at, total, where="post", color=colour, label=currency)
        finish(right, "Costs, summed", f"costs {_unit(parts)}", "session (UTC)")
        if len(parts) > 1:
            legend(right)

    return draw_figure(draw, columns=2)


def nav_and_exposure(nav: pl.DataFrame) -> bytes:
    """NAV over exposure and drawdown, at every session's close."""
    sessions = nav["session"].to_numpy()

    def draw(axes: Sequence[Axes]) -> None:
        top, bottom = axes
        top.plot(sessions, nav["nav"].to_numpy(), color=BARK, linewidth=1.5)
        top.ticklabel_format(axis="y", style="plain", useOffset=False)
        finish(top, "NAV at the close", "NAV [base currency]")
        for name, colour in (("gross", HONEY), ("net", LEAF)):
            bottom.plot(sessions, nav[name].to_numpy() * 100.0, color=colour, label=name)
        depth = -nav["drawdown_fraction"].to_numpy() * 100.0
        bottom.fill_between(sessions, depth, 0.0, color=RUST, alpha=0.5, label="drawdown")
        finish(bottom, "Exposure and drawdown", "share of NAV [%]", "session (UTC)")
        legend(bottom)

    return draw_figure(draw, rows=2)


def _heat_map(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    signed: bool = False,
) -> bytes:
    """Draw rows x columns; signed values around zero, others from 0 to 1."""
    shown = values[:_ROWS_MAX]
    names = list(rows[:_ROWS_MAX])
    left_out = "" if len(rows) <= _ROWS_MAX else f", first {_ROWS_MAX} of {len(rows)}"
    limit = float(np.nanmax(np.abs(shown), initial=0.0)) or 1.0
    span = {"vmin": -limit, "vmax": limit, "cmap": "RdYlGn"}
    span = span if signed else {"vmin": 0.0, "vmax": 1.0, "cmap": "YlOrBr"}

    def draw(axes: Sequence[Axes]) -> None:
        (axis,) = axes
        image = axis.imshow(shown, aspect="auto", interpolation="nearest", **span)
        step = max(1, len(columns) // 10)
        axis.set_xticks(range(0, len(columns), step), columns[::step], rotation=30, ha="right")
        axis.set_yticks(range(len(names)), names)
        finish(axis, title + left_out, "")
        axis.grid(visible=False)
        axis.tick_params(axis="y", labelsize=6)
        axis.figure.colorbar(image, ax=axis, fraction=0.03)

    return draw_figure(draw, height=0.15 * len(names) + 1.6)


def _stack(axis: Axes, rows: pl.DataFrame, by: str) -> None:
    """Draw stacked bars of row counts by month, or by year where months would be too many."""
    rows = rows.filter(pl.col("event_time").dt.year().is_between(*_YEARS_DRAWN))
    times = rows["event_time"]
    width = "1mo" if times.dt.truncate("1mo").n_unique() <= _MONTHS_MAX else "1y"
    dated = rows.with_columns(period=times.dt.truncate(width).dt.date())
    _stack_on(axis, dated, "period", by, width)


def _stack_on(axis: Axes, rows: pl.DataFrame, period: str, by: str, width: str = "1d") -> None:
    """Draw stacked bars of the row counts of each period by the values of `by`."""
    name = pl.col(by).cast(pl.String).fill_null("none")
    counted = rows.drop_nulls(period).group_by(period, name.alias("group")).len()
    if counted.is_empty():
        return
    totals = counted.group_by("group").agg(pl.col("len").sum())
    named: list[str] = totals.sort(["len", "group"], descending=[True, False])["group"].to_list()
    kept = named if len(named) <= len(_COLOURS) else named[: len(_COLOURS) - 1]
    parts = [(n, counted.filter(group=n)) for n in kept]
    if len(kept) < len(named):
        parts.append(("others", counted.filter(~pl.col("group").is_in(kept))))
    end = pl.col(period).max().dt.offset_by(width)
    edges = counted.select(pl.date_range(pl.col(period).min(), end, width)).to_series()
    periods = pl.DataFrame({period: edges[:-1]})
    base = np.zeros(periods.height)
    for colour, (label, part) in zip(_COLOURS, parts, strict=False):
        summed = part.group_by(period).agg(pl.col("len").sum())
        counts = periods.join(summed, on=period, how="left")["len"].fill_null(0).to_numpy()
        top = base + counts
        axis.stairs(top, edges.to_numpy(), baseline=base, fill=True, color=colour, label=label[:40])
        base = top
    if len(parts) > 1:
        axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _by_currency(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the rows of each currency, by its name."""
    parts = rows.sort("currency", maintain_order=True).partition_by("currency", as_dict=True)
    return {str(currency): part for (currency,), part in sorted(parts.items())}


def _unit(parts: Mapping[str, pl.DataFrame]) -> str:
    return f"[{next(iter(parts))}]" if len(parts) == 1 else "[each in its currency]"


def _labels(months: pl.Series) -> list[str]:
    return months.dt.strftime("%Y-%m").to_list()
