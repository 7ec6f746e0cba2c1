"""Great Expectations suites per table, run on samples and aggregates, with Data Docs on disk."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from adapters.quality.expectations import Expectation, rule_expectations, table_expectations
from adapters.quality.offline_docs import make_offline, read_results, write_index

if TYPE_CHECKING:
    import pandas as pd

# Value expectations read this many rows at most, evenly spread; whole tables have native rules.
_SAMPLE_ROWS = 5_000
# The index lists the newest runs; the pages of older ones stay on disk.
_RUNS_LISTED = 200
_RESULTS = Path("gx/uncommitted/validations")
_SITE = Path("gx/uncommitted/data_docs/local_site")


class Report(Protocol):
    """What a native check found; features.validation.ValidationReport is one."""

    @property
    def findings(self) -> pl.DataFrame: ...
    @property
    def row_count(self) -> int: ...
    @property
    def blocking_reasons(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class SuiteOutcome:
    """Whether every expectation was met, the page that shows it, and each one's result."""

    success: bool
    document_path: Path
    results: tuple[Mapping[str, object], ...]


class GreatExpectationsSuites:
    """Suites, results and Data Docs below `root`; Great Expectations itself loads on first use.

    Its usage statistics are switched off by GX_ANALYTICS_ENABLED=false, which must stand in the
    environment before the first run; nothing here reaches for the network.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, table: str, rows: pl.DataFrame, report: Report | None = None) -> SuiteOutcome:
        """Validate one table and write its page; with a report, its native rules are on it too.

        Raises KeyError for a table that has no schema.
        """
        expectations = [e for e in table_expectations(table) if _applies(e, rows)]
        parts = [(table, expectations, _sample(rows))]
        if report is not None:
            shares = _rule_shares(report)
            rules = tuple(name for name in shares.columns if name != "blocking_reasons")
            parts.append((f"{table}_rules", list(rule_expectations(rules)), shares))
        with _quiet():
            outcomes = [self._run_suite(*part) for part in parts]
        return SuiteOutcome(
            success=all(outcome.success for outcome in outcomes),
            document_path=outcomes[0].document_path,
            results=tuple(result for outcome in outcomes for result in outcome.results),
        )

    def build_docs(self) -> Path:
        """Write the index over all runs so far and return it; it opens without a network."""
        site = self._site
        make_offline(site)
        suites = [path.stem for path in (site / "expectations").glob("*.html")]
        return write_index(site, read_results(self.root / _RESULTS, site)[:_RUNS_LISTED], suites)

    @property
    def _site(self) -> Path:
        return self.root / _SITE

    @cached_property
    def _context(self) -> Any:  # Great Expectations ships no usable types for its contexts
        # Imported here: it takes seconds, and most runs of the house never need it.
        import great_expectations as gx

        self.root.mkdir(parents=True, exist_ok=True)
        context = gx.get_context(mode="file", project_root_dir=str(self.root))
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        return context

    def _run_suite(
        self, name: str, expectations: Sequence[Expectation], rows: pl.DataFrame
    ) -> SuiteOutcome:
        """Run one suite on one frame, write its page, and remember it for the index."""
        checkpoint = self._checkpoint(name, expectations)
        result = checkpoint.run(batch_parameters={"dataframe": _to_pandas(rows)})
        identifier, validation = next(iter(result.run_results.items()))
        page = self._site / "validations" / (Path(*identifier.to_tuple()).as_posix() + ".html")
        make_offline(self._site)
        results = tuple(_plain(entry) for entry in validation.results)
        return SuiteOutcome(bool(validation.success), page, results)

    def _checkpoint(self, name: str, expectations: Sequence[Expectation]) -> Any:
        import great_expectations as gx
        from great_expectations.checkpoint.actions import UpdateDataDocsAction
        from great_expectations.expectations.expectation_configuration import (
            ExpectationConfiguration,
        )

        suite = gx.ExpectationSuite(name=name)
        for expectation in expectations:
            suite.add_expectation_configuration(
                ExpectationConfiguration(type=expectation.kind, kwargs=expectation.arguments)
            )
        suite = self._context.suites.add_or_update(suite)
        definition = gx.ValidationDefinition(name=name, data=self._batch(name), suite=suite)
        definition = self._context.validation_definitions.add_or_update(definition)
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            actions=[UpdateDataDocsAction(name="data_docs")],
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": 5},
        )
        return self._context.checkpoints.add_or_update(checkpoint)

    def _batch(self, name: str) -> Any:
        """Return the batch definition of a table's frame, made once."""
        source = self._context.data_sources.all().get("frames")
        if source is None:
            source = self._context.data_sources.add_pandas("frames")
        if name not in source.get_asset_names():
            source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("rows")
        return source.get_asset(name).get_batch_definition("rows")


def _applies(expectation: Expectation, rows: pl.DataFrame) -> bool:
    """Whether the frame has the columns that it reads; that it has them is an expectation too."""
    named = [expectation.arguments.get(key) for key in ("column", "column_A", "column_B")]
    listed = expectation.arguments.get("column_list")
    columns = [*named, *(listed if isinstance(listed, list) else [])]
    return all(column is None or column in rows.columns for column in columns)


def _sample(rows: pl.DataFrame) -> pl.DataFrame:
    """Return evenly spread rows, the last one among them."""
    step = -(-rows.height // _SAMPLE_ROWS)
    return rows if step <= 1 else rows.reverse().gather_every(step).reverse()


def _rule_shares(report: Report) -> pl.DataFrame:
    """Return one row: the share of rows that each native rule stopped, and how often it blocks."""
    stopped = report.findings.filter(pl.col("severity").is_in(["quarantine", "block"]))
    counts = stopped.group_by("rule", maintain_order=True).agg(pl.col("row_index").n_unique())
    rows = max(report.row_count, 1)
    values: dict[str, list[float]] = {"blocking_reasons": [float(len(report.blocking_reasons))]}
    values["all_rules"] = [stopped.get_column("row_index").n_unique() / rows]
    values |= {rule: [count / rows] for rule, count in counts.iter_rows()}
    return pl.DataFrame(values)


def _to_pandas(rows: pl.DataFrame) -> "pd.DataFrame":
    naive = [
        pl.col(name).dt.replace_time_zone(None)
        for name, dtype in rows.schema.items()
        if isinstance(dtype, pl.Datetime)
    ]
    return rows.with_columns(naive).to_pandas()


def _plain(entry: Any) -> Mapping[str, object]:
    """Return one expectation's result as plain data: type, arguments, success, counts."""
    config = entry.expectation_config
    arguments = {k: v for k, v in config.kwargs.items() if k != "batch_id"}
    return {
        "expectation": config.type,
        "arguments": arguments,
        "success": bool(entry.success),
        "unexpected_count": int(entry.result.get("unexpected_count", 0) or 0),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep its progress notes and deprecations, which say nothing of the data, off the terminal."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
