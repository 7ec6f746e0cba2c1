"""One HTML page and one JSON file from the rows."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from benchmarks.decision_quality.real import RealResult
from benchmarks.decision_quality.tables import (
    STYLE,
    Cell,
    better,
    cell,
    details,
    outcome,
    share_bar,
    table,
)

Row = dict[str, Any]
_BESIDE = (
    "fixed-share",
    "hedge",
    "bandit (Thompson)",
    "equal weight",
    "best single in hindsight",
    "informed observer (knows all but the regime)",
)
_HEADINGS = {
    "share": "share of oracle's payoff",
    "share_low": "95 % from",
    "share_high": "to",
    "recovery": "rate after a flip",
    "turnover": "turnover a bar",
    "yearly_return": "return a year",
    "deflated": "deflated Sharpe",
    "sharpe_low": "95 % from",
    "sharpe_high": "to ",
}


def write_report(
    folder: Path, *, marks: Sequence[Row], synthetic: Sequence[Any], real: Sequence[Any],
    notes: Sequence[str],
) -> tuple[Path, Path]:  # fmt: skip
    """Write decision_quality.json and .html into the folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {
        "notes": list(notes),
        "marks": [_plain(row) for row in marks],
        "synthetic": [_plain(asdict(row)) for row in synthetic],
        "real": [_plain(asdict(row)) for row in real],
    }
    text, page = folder / "decision_quality.json", folder / "decision_quality.html"
    text.write_text(json.dumps(data, indent=1) + "\n")
    page.write_text(page_of(data, [f.name for f in fields(real[0])] if real else []))
    return text, page


def last_real(folder: Path) -> list[RealResult]:
    """Return the rows on real prices of the report that is in the folder; none where none is."""
    text = folder / "decision_quality.json"
    rows: list[Row] = json.loads(text.read_text())["real"] if text.is_file() else []
    unknown: Any = float("nan")
    return [RealResult(**{k: unknown if v is None else v for k, v in row.items()}) for row in rows]


def _plain(row: Row) -> Row:
    return {
        key: (None if math.isnan(value) else round(value, 6)) if isinstance(value, float) else value
        for key, value in row.items()
    }


def page_of(data: dict[str, Any], real_names: Sequence[str]) -> str:
    """Return the page: what was reached, the colony beside others, each part's worth, details."""
    synthetic: list[Row] = data["synthetic"]
    met = sum(bool(mark["met"]) for mark in data["marks"])
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Decision quality</title>",
        f"<style>{STYLE}</style><h1>Decision quality of the colony</h1>",
        *(f"<p>{cell(note)}</p>" for note in data["notes"]),
        f"<h2>Marks: {met} of {len(data['marks'])} met</h2>",
        _marks(data["marks"]),
    ]
    if synthetic:
        parts += [
            "<h2>The colony beside the others</h2>",
            "<p>Share of the payoff of an oracle that knows the regime, all after the market's "
            "cost. The informed observer is told everything but when the market turns.</p>",
            _beside(synthetic),
            "<h2>What each mechanism adds</h2>",
            _ablations(synthetic),
        ]
    if data["real"]:
        names = ["who", *(name for name in real_names if name != "who")]
        parts += ["<h2>Real prices, after costs</h2>", _rows(data["real"], names)]
    if synthetic:
        parts.append("<h2>Every market</h2>")
    for market in dict.fromkeys(row["market"] for row in synthetic):
        rows = [row for row in synthetic if row["market"] == market]
        names = ["who", *(name for name in rows[0] if name not in ("who", "market", "family"))]
        parts.append(details(market, _rows(rows, names)))
    return "\n".join(parts) + "\n"


def _marks(marks: Sequence[Row]) -> str:
    rows = [
        [
            Cell(cell(mark["mark"])),
            Cell(cell(mark["bound"])),
            Cell(cell(mark["measured"])),
            outcome(bool(mark["met"]), bool(mark.get("beyond_payoffs"))),
            Cell(cell(mark.get("informed_observer"))),
        ]
        for mark in sorted(marks, key=lambda mark: bool(mark["met"]))
    ]
    return (
        "<p>The informed observer is told both best scouts and must only see from payoffs that the "
        "market has turned: where he is below the bound, only a foretold turn can meet it.</p>"
        + table(["mark", "bound", "measured", "", "informed observer"], rows)
    )


def _beside(synthetic: Sequence[Row]) -> str:
    rows: list[list[Cell]] = []
    for market, found in _by_market(synthetic).items():
        if found["colony"]["share"] is not None:
            shares = [found[who]["share"] if who in found else None for who in _BESIDE]
            rows.append(
                [Cell(cell(market)), share_bar(found["colony"]["share"])]
                + [Cell(cell(share)) for share in shares]
            )
    return table(["market", "colony", *(who.split(" (")[0] for who in _BESIDE)], rows)


def _ablations(synthetic: Sequence[Row]) -> str:
    names = list(dict.fromkeys(r["who"] for r in synthetic if r["who"].startswith("without")))
    if not names:
        return "<p>not run: leave out --no-ablations</p>"
    shares: list[list[Cell]] = []
    navs: list[list[Cell]] = []
    for market, found in _by_market(synthetic).items():
        if names[0] not in found:
            continue
        colony = found["colony"]
        if colony["share"] is not None:
            lost = [100.0 * (colony["share"] - found[who]["share"]) for who in names]
            shares.append([Cell(cell(market)), *(better(value, 0.1) for value in lost)])
        gained = [100.0 * (math.log(colony["nav"] / found[who]["nav"])) for who in names]
        navs.append([Cell(cell(market)), *(better(value, 0.5) for value in gained)])
    heads = ["market", *(who.removeprefix("without ") for who in names)]
    return (
        "<p>Points of the oracle's payoff that the colony loses without it. Recruitment, sizing "
        "and drones do not enter a conviction but through the sense that watches the colony.</p>"
        + table(heads, shares)
        + "<p>Log points of final capital that it loses without it, after the market's cost.</p>"
        + table(heads, navs)
    )


def _by_market(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row["market"], {})[row["who"]] = row
    return found


def _rows(rows: Sequence[Row], names: Sequence[str]) -> str:
    heads = [_HEADINGS.get(name, name.replace("_", " ")) for name in names]
    marked = [row["who"] == "colony" for row in rows]
    return table(heads, [[Cell(cell(row[n])) for n in names] for row in rows], marked)
