"""Writes reports into a folder: the newest under a fixed name, and draws their pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from adapters.clock import SystemClock
from adapters.reports.data import ReportData
from adapters.reports.figures import all_figures
from adapters.reports.html import render_report

# Names of tables in the store, and of the report's fields where they differ.
_FIELDS = {"decision_contributions": "contributions"}


class HtmlReporter:
    """Fulfils the assets' `Reporter`: `root/index.html` is the newest report."""

    def __init__(
        self,
        root: Path,
        *,
        base_currency: str,
        benchmark_name: str,
        lineage: Callable[[], Mapping[str, object] | None],
    ) -> None:
        self._root = root
        self._base_currency = base_currency
        self._benchmark_name = benchmark_name
        self._lineage = lineage

    def write(
        self,
        tables: Mapping[str, pl.DataFrame],
        *,
        places: pl.DataFrame,
        model: Mapping[str, object],
        facts: Mapping[str, object],
    ) -> Path:
        """Write the page and return its path."""
        data = self._data(tables, places=places, model=model, facts=facts, lineage=self._lineage())
        return render_report(data, self._root / "index.html")

    def pictures(self, tables: Mapping[str, pl.DataFrame]) -> Mapping[str, bytes]:
        """Return every picture that the tables have rows for, as PNG bytes."""
        return all_figures(self._data(tables))

    def _data(self, tables: Mapping[str, pl.DataFrame], **told: object) -> ReportData:
        frames = {_FIELDS.get(name, name): rows for name, rows in tables.items()}
        return ReportData(
            generated_at=SystemClock().now(),
            base_currency=self._base_currency,
            benchmark_name=self._benchmark_name,
            **frames,  # type: ignore[arg-type]  # the fields are named by the tables
            **told,  # type: ignore[arg-type]  # the same
        )
