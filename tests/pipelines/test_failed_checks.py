"""What a failed check says after a run is a line for a person."""

import dagster as dg
import pytest

from pipelines.chain import failed_checks


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (
            {"reasons": dg.MetadataValue.md("- too few folds\n- no better")},
            "too few folds; no better",
        ),
        ({"reasons": "one row was wrong"}, "one row was wrong"),
        ({"held_back": ["a", "b"]}, "['a', 'b']"),
        ({}, ""),
    ],
)
def test_a_failed_check_tells_its_reasons_in_one_line(metadata: dict, told: str) -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("rule", asset="thing")])
    def thing() -> dg.MaterializeResult:
        found = dg.AssetCheckResult(check_name="rule", passed=False, metadata=metadata)
        return dg.MaterializeResult(check_results=[found])

    result = dg.materialize([thing])
    assert failed_checks(result) == (f"thing: rule failed. {told}".strip(),)
