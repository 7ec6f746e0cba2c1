"""Parting the rows: those that pass, and those that are kept aside whole, with the reason."""

import polars as pl

from features.schemas import QUARANTINE_COLUMNS
from features.validation.report import ValidationReport


def split(rows: pl.DataFrame, report: ValidationReport) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that pass, and the others in QUARANTINE_COLUMNS form, row as JSON.

    `rows` must be the frame that was checked, in its order. A row that breaks several rules
    stands once for each, so that every reason can be read; no row is in both frames.
    """
    if rows.height != report.row_count:
        raise ValueError(
            f"rows must be the {report.row_count} rows of the report, were {rows.height}"
        )
    bad = report.quarantined_rows
    if bad.is_empty():
        return rows, pl.DataFrame(schema=QUARANTINE_COLUMNS)
    keep = pl.repeat(True, rows.height, eager=True).scatter(bad, False)
    text = rows[bad].select(pl.struct(pl.all()).struct.json_encode()).to_series()
    documents = pl.DataFrame({"row_index": bad, "row": text})
    quarantined = report.findings.filter(
        pl.col("severity").is_in(["quarantine", "block"]), pl.col("row_index").is_not_null()
    ).join(documents, on="row_index", how="left", maintain_order="left")
    return rows.filter(keep), quarantined.select(
        pl.col(name).cast(dtype) for name, dtype in QUARANTINE_COLUMNS.items()
    )
