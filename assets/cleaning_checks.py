"""Great Expectations suites over the clean tables: the documents that people read, and a check."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from assets.ingest import INGESTED
from assets.ports import SuiteRunner, TableStore
from features.schemas_derived import QUARANTINE

EXPECTATIONS = "expectation_suite"


def _suite_check(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=f"clean_{table}",
        name=EXPECTATIONS,
        blocking=True,
        description=f"The expectation suite of {table}, on a sample; its page is in Data Docs.",
    )
    def expectation_suite(
        tables: dg.ResourceParam[TableStore], suites: dg.ResourceParam[SuiteRunner]
    ) -> dg.AssetCheckResult:
        """Validate the clean rows once more, independently of the rules that cleaned them."""
        rows = tables.read(f"clean_{table}")
        if rows.is_empty():
            return dg.AssetCheckResult(passed=True, metadata={"rows": 0})
        outcome = suites.run(table, rows)
        unmet = [str(r.get("expectation")) for r in outcome.results if not r.get("success")]
        return dg.AssetCheckResult(
            passed=outcome.success,
            metadata={
                "expectation_count": len(outcome.results),
                "unmet": ", ".join(unmet) or "none",
                "page": dg.MetadataValue.path(str(outcome.document_path)),
            },
        )

    return expectation_suite


SUITE_CHECKS: Sequence[dg.AssetChecksDefinition] = [_suite_check(name) for name in INGESTED]


@dg.asset(
    group_name="validate", deps=[f"clean_{name}" for name in INGESTED], kinds={"greatexpectations"}
)
def data_docs(suites: dg.ResourceParam[SuiteRunner]) -> dg.MaterializeResult:
    """The index of all validation pages; it opens in a browser without a network."""
    return dg.MaterializeResult(metadata={"index": dg.MetadataValue.path(str(suites.build_docs()))})


def quarantine(tables: TableStore) -> pl.DataFrame:
    """Return every row that was put aside, unreadable ones included, newest first.

    What a table of rejected rows only warns of was not put aside.
    """
    names = [f"{kind}_{name}" for kind in ("quarantine", "rejected") for name in INGESTED]
    frames = [QUARANTINE.conform(tables.read(name)) for name in names if tables.exists(name)]
    aside = pl.concat([QUARANTINE.empty(), *frames]).filter(pl.col("severity") != "warn")
    return aside.sort("event_time", "table", descending=[True, False], nulls_last=True)
