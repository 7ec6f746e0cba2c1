"""The tree that explains an order: from the order down to raw rows, for people and as JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

_ROWS_SHOWN = 3  # at each end of a long list of raw rows
_STYLES = {
    "order": "bold cyan",
    "verdict": "bold green",
    "denial": "bold red",
    "decision": "bold yellow",
    "raw_rows": "bold blue",
    "missing": "red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """One link of the chain: what it is, what is known of it, and what it came from.

    `rows` are raw rows, each with its address (source, source_row). A link whose record cannot
    be found is a node of kind "missing", never left out.
    """

    kind: str
    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    rows: tuple[Mapping[str, object], ...] = ()
    children: tuple["LineageNode", ...] = ()

    def walk(self) -> Iterator["LineageNode"]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, kind: str) -> "LineageNode | None":
        """Return the first node of a kind, or None."""
        return next((n for n in self.walk() if n.kind == kind), None)

    def to_dict(self) -> dict[str, object]:
        """Return JSON values; times are ISO 8601 text."""
        return {
            "kind": self.kind,
            "title": self.title,
            "facts": {k: _plain(v) for k, v in self.facts.items()},
            "rows": [{k: _plain(v) for k, v in row.items()} for row in self.rows],
            "children": [c.to_dict() for c in self.children],
        }

    def to_json(self) -> str:
        """Return the whole tree as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


LineageTree = LineageNode  # the root of a tree is a node of kind "order"


def render(tree: LineageTree) -> Tree:
    """Return the tree for a terminal; of many raw rows the first and the last are shown."""
    branch = Tree(_label(tree), guide_style="dim")
    if tree.rows:
        branch.add(_rows_table(tree.rows))
    for child in tree.children:
        branch.children.append(render(child))
    return branch


def _label(node: LineageNode) -> Text:
    text = Text(node.title, style=_STYLES.get(node.kind, "bold"))
    for name, value in node.facts.items():
        text.append(f"  {name.replace('_', ' ')} ", style="dim")
        text.append(_short(value), style="default")
    return text


def _rows_table(rows: tuple[Mapping[str, object], ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    rows = tuple(_with_short_address(row) for row in rows)
    for name in rows[0]:
        table.add_column(name, justify="left", no_wrap=True)
    head = rows if len(rows) <= 2 * _ROWS_SHOWN + 1 else rows[:_ROWS_SHOWN]
    for row in head:
        table.add_row(*(_short(v) for v in row.values()))
    if len(head) < len(rows):
        table.add_row(f"... {len(rows) - 2 * _ROWS_SHOWN} more", style="dim")
        for row in rows[-_ROWS_SHOWN:]:
            table.add_row(*(_short(v) for v in row.values()))
    return table


def _with_short_address(row: Mapping[str, object]) -> Mapping[str, object]:
    """Return the row with FILE:ROW in the place of its address: a line has no room for a path."""
    if "file" not in row:
        return row
    kept = {n: v for n, v in row.items() if n not in ("source", "source_row", "file", "file_row")}
    return {**kept, "file:row": f"{Path(str(row['file'])).name}:{row['file_row']}"}


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return "-" if value is None else str(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and value != value:
        return None  # JSON knows no NaN
    return value if isinstance(value, str | int | float | bool | None) else str(value)
