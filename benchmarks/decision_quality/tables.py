"""Tables, bars and colours of the report as plain HTML, without a script."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;"
    "color:#222}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1rem;width:100%;"
    "font-variant-numeric:tabular-nums}"
    "td,th{border-bottom:1px solid #ddd;padding:.2rem .5rem;text-align:right;vertical-align:top}"
    "th{font-weight:600;color:#555;font-size:.85rem}tr.own td{font-weight:600;background:#fff6dd}"
    "td:first-child,th:first-child{text-align:left}td.yes{color:#14692d}td.no{color:#b3261e;"
    "font-weight:600}td.up{background:#e3f3e6}td.down{background:#fbe4e2}"
    "td.bar{background:linear-gradient(90deg,#f4c542 var(--w),#f3f3f3 var(--w))}"
    "summary{cursor:pointer;padding:.2rem 0}"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, ready for HTML, and its attributes."""

    text: str
    attributes: str = ""


def cell(value: object) -> str:
    """Return a value as text: a dash for what is not known, four digits for a fraction."""
    if value is None:
        return "&ndash;"
    if isinstance(value, float):
        return f"{value:.3e}" if abs(value) >= 1e6 else f"{value:.4g}"
    return escape(str(value))


def outcome(met: bool, beyond: bool = False) -> Cell:
    """Return the cell that says whether a mark was met, and whether payoffs could tell so soon."""
    if met:
        return Cell("met", " class=yes")
    return Cell("missed, beyond what payoffs tell" if beyond else "missed", " class=no")


def share_bar(share: float) -> Cell:
    """Return a share between nothing and all as a number on a bar."""
    width = min(max(100.0 * share, 0.0), 100.0)
    return Cell(f"{share:.3f}", f' class=bar style="--w:{width:.1f}%"')


def better(value: float, visible: float) -> Cell:
    """Return a signed difference, coloured where its size is at least `visible`."""
    name = "up" if value >= visible else "down" if value <= -visible else ""
    return Cell(f"{value:+.1f}", f" class={name}" if name else "")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[Cell]], own: Sequence[bool] | None = None
) -> str:
    """Return an HTML table; `own` marks the rows that stand out."""
    if not rows:
        return "<p>nothing was run</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    marked = own or [False] * len(rows)
    body = "".join(
        f"<tr{' class=own' if mine else ''}>"
        + "".join(f"<td{c.attributes}>{c.text}</td>" for c in row)
        + "</tr>"
        for row, mine in zip(rows, marked, strict=True)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def details(title: str, inside: str) -> str:
    """Return a part of the page that opens when asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"
