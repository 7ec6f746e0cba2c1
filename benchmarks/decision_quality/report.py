"""One HTML page and one JSON file from the rows."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from html import escape
from pathlib import Path
from typing import Any

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.25rem .6rem;text-align:right}"
    "td:first-child,th:first-child{text-align:left}tr.colony td{font-weight:600;background:#fff6dd}"
)


def write_report(
    folder: Path, *, marks: Sequence[dict[str, Any]], synthetic: Sequence[Any],
    real: Sequence[Any], notes: Sequence[str],
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
    page.write_text(_page(data, synthetic, real))
    return text, page


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: (None if math.isnan(value) else round(value, 6)) if isinstance(value, float) else value
        for key, value in row.items()
    }


def _page(data: dict[str, Any], synthetic: Sequence[Any], real: Sequence[Any]) -> str:
    parts = [
        "<!doctype html><meta charset=utf-8><title>Decision quality</title>",
        f"<style>{_STYLE}</style><h1>Decision quality of the colony</h1>",
        *(f"<p>{escape(note)}</p>" for note in data["notes"]),
        "<h2>Marks</h2>",
        _table(data["marks"]),
    ]
    for market in dict.fromkeys(row.market for row in synthetic):
        rows = [row for row in data["synthetic"] if row["market"] == market]
        parts += [f"<h2>{escape(market)}</h2>", _table(rows, skip=("market", "family"))]
    if real:
        names = [f.name for f in fields(real[0])]
        parts += ["<h2>Real prices</h2>", _table(data["real"], only=names)]
    return "\n".join(parts) + "\n"


def _table(
    rows: Sequence[dict[str, Any]], skip: Sequence[str] = (), only: Sequence[str] | None = None
) -> str:
    if not rows:
        return "<p>nothing was run</p>"
    names = [name for name in (only or rows[0]) if name not in skip]
    names.sort(key=lambda name: name != "who")
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(
        f"<tr{' class=colony' if row.get('who') == 'colony' else ''}>"
        + "".join(f"<td>{_cell(row.get(name))}</td>" for name in names)
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if value is None:
        return "&ndash;"
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
