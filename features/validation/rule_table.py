"""The documentation's table of rules, generated so that it cannot grow stale."""

import sys
from pathlib import Path

from features.validation.catalogue import RULES
from features.validation.rule import RowRule, Rule

_BEGIN, _END = "<!-- rules: begin -->", "<!-- rules: end -->"


def rule_table() -> str:
    """Return every rule as one line of a markdown table, in the order they run."""
    head = [
        "| rule | tables | kinds | highest severity | what must hold |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *[_line(rule) for rule in RULES]])


def with_rule_table(document: str) -> str:
    """Return the document with the table between its two marks renewed."""
    if _BEGIN not in document or _END not in document:
        raise ValueError(f"the document must hold {_BEGIN} and {_END}")
    before, rest = document.split(_BEGIN, 1)
    after = rest.split(_END, 1)[1]
    return f"{before}{_BEGIN}\n{rule_table()}\n{_END}{after}"


def _line(rule: Rule) -> str:
    kinds = (rule.kind,) if isinstance(rule, RowRule) else rule.kinds
    return (
        f"| `{rule.name}` | {', '.join(rule.tables)} | {', '.join(kinds)} | {rule.severity} "
        f"| {rule.text} |"
    )


def main(paths: list[str]) -> None:
    """Renew the table in each document."""
    for path in map(Path, paths):
        path.write_text(with_rule_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
