"""The page of denial codes, made from the enum so that it cannot fall behind it."""

from swarm_core.risk.codes import DenialCode

_HEAD = """# Denial codes

Why the pre-trade gate denies an order. Every denial stands in the event log as an `OrderDenied`
(or a `TargetDenied`, where no order could be made) with its code, what was measured and the limit.
A denial is ours; a rejection is the venue's. This page is generated: change
`swarm_core/risk/codes.py` and run `python -m pytest tests/swarm_core/risk/test_codes.py` to be
told what differs.

| code | what must hold |
|---|---|
"""


def denial_codes_page() -> str:
    """Return the Markdown of docs/denial-codes.md."""
    rows = "".join(f"| `{code.value}` | {code.explanation} |\n" for code in DenialCode)
    return _HEAD + rows
