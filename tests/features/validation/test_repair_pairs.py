"""The rules against the repair pairs: every changed row is found, and controls are left alone."""

import polars as pl
import pytest

from tests.features.validation.make import STOPPED
from tests.features.validation.repair_pairs import (
    FOLDER,
    changed_rows,
    controls,
    pairs,
    read_market,
)
from tests.shared_data import needs_shared_data

# Measured over all 21 pairs: 10,759 changed bars and 20 changed payments, all found; 511 more bars
# stopped. Of these 409 are in SSNLF (bars copied for weeks, a history on a scale of 50), 70 and 14
# in NVT and CLC (runs at a hundredth of the price), all left in the repaired files too; 18 in AET,
# whose two units are so mixed that neither can be proven.
RECALL_MIN, PRECISION_MIN = 1.0, 0.95
KINDS = {
    "100x-error": {"unit_error"},
    "bad-unit": {"unit_error"},
    "bad-stock-split": {"unadjusted_split"},
    "bad-div": {
        "dividend_unit_error",
        "dividend_scale",
        "phantom_dividend",
        "wrong_adjustment",
        "missing_adjustment",
        "not_finite",
    },
    "missing-div-adjust": {"missing_adjustment"},
    "cg-double-count": {"wrong_adjustment"},
}


def stopped(name: str) -> tuple[set[tuple[str, int]], set[int], set[str]]:
    """Return the bars and payments that do not pass, and the kinds on the changed ones."""
    bars, actions = (
        report.findings.filter(STOPPED, pl.col("row_index").is_not_null())
        for report in read_market(FOLDER / f"{name}.csv").check()
    )
    series = bars["source"].str.split("@").list.last()
    found = list(zip(series, bars["source_row"], strict=True))
    changed, paid = changed_rows(name)
    kinds = {k for k, row in zip(bars["kind"], found, strict=True) if row in changed}
    kinds |= {k for k, r in actions.select("kind", "source_row").rows() if r in paid}
    return set(found), set(actions["source_row"]), kinds


@needs_shared_data
@pytest.mark.parametrize("name", pairs())
def test_every_changed_row_of_a_pair_is_stopped_under_the_right_kind(name: str) -> None:
    changed, paid = changed_rows(name)
    bars, actions, kinds = stopped(name)
    assert changed <= bars
    assert paid <= actions
    expected = next(kinds for suffix, kinds in KINDS.items() if name.endswith(suffix))
    assert kinds & expected


@needs_shared_data
def test_over_all_pairs_recall_and_precision_hold_their_floors() -> None:
    hit = missed = extra = 0
    for name in pairs():
        changed, paid = changed_rows(name)
        bars, actions, _ = stopped(name)
        hit += len(changed & bars) + len(paid & actions)
        missed += len(changed - bars) + len(paid - actions)
        extra += len(bars - changed) + len(actions - paid)
    assert hit / (hit + missed) >= RECALL_MIN
    assert hit / (hit + extra) >= PRECISION_MIN


@needs_shared_data
@pytest.mark.parametrize("name", controls())
def test_a_control_has_no_finding_above_warn(name: str) -> None:
    for report in read_market(FOLDER / f"{name}.csv").check():
        assert report.findings.filter(STOPPED).is_empty()


@needs_shared_data
@pytest.mark.parametrize(
    "name", [n for n in pairs() if n.split("-")[0] not in ("NVT", "CLC", "SSNLF")]
)
def test_a_repaired_file_passes_whole(name: str) -> None:
    for report in read_market(FOLDER / f"{name}-fixed.csv").check():
        assert report.findings.filter(STOPPED).is_empty()
