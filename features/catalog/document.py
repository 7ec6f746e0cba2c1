"""The catalogue as a page of the documentation, written from the features themselves.

python -m features.catalog.document > docs/features.md
"""

from features.catalog.feature import Feature
from features.catalog.registry import CATALOG, FAMILIES

_OPENING = """# Features

Written by `python -m features.catalog.document`; a test keeps it true. One row of the feature table
is one instrument at one session close (`event_time`), for the decision at `as_of`. It reads only
versions with `knowledge_time <= as_of`; its own `knowledge_time` is that of the newest datum
within its windows. A value is null where it is not known, and never infinite.

C, O, H, L, V are close, open, high, low and volume; r = ln(C[t] / C[t-1]). A window may miss one
value in ten. Windows are finite, so that a table computed in pieces has the bits of the table
computed at once. Where an old bar comes late or is revised, only what it reaches is computed again:
its own instrument's windows, and the features of all instruments that read the market's mean.
Lookback counts the instrument's own sessions before the row, or a macro series' observations; the
lag from the newest bar is 0 for all: a decision is taken
after the close is known.
"""


def _row(feature: Feature) -> str:
    formula = feature.formula.replace("|", "\\|")
    tables = ", ".join(feature.source_tables)
    cells = (
        f"`{feature.name}`",
        formula,
        str(feature.lookback_sessions),
        tables,
        feature.reference,
    )
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """Return the page in Markdown, one table per family."""
    lines = [_OPENING]
    for family in FAMILIES:
        title = family.replace("_", " ").capitalize()
        lines += [f"## {title}", "", "| name | formula | lookback | reads | reference |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(f) for f in CATALOG if f.family == family]
        lines += [""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
