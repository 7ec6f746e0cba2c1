"""Computed features: numbers or nulls, never infinite, never all the same."""

from collections.abc import Iterable

import polars as pl

from features.schemas_derived import FEATURES_BASE
from features.text_format import format_text
from features.validation.context import CheckContext
from features.validation.findings import make_hits, table_hit
from features.validation.rule import TableRule
from features.validation.view import TableView

# Fewer rows than this may well agree by chance.
_ROWS_MIN = 20


def _find(view: TableView, _: CheckContext) -> Iterable[pl.DataFrame]:
    """Yield rows with a feature that is no number, and features that say nothing."""
    names = [c for c in view.rows.columns if c not in FEATURES_BASE.columns]
    if not names:
        yield table_hit(
            "feature_values", "no_rows", "block", 1.0, "features must be there, none was"
        )
        return
    broken = pl.any_horizontal(~pl.col(c).is_finite() for c in names)
    at = view.rows.select(pl.arg_where(broken)).to_series()
    if not at.is_empty():
        bad = pl.concat_list(pl.when(~pl.col(c).is_finite()).then(pl.lit(c)) for c in names)
        reasons = view.rows[at].select(
            format_text(
                "features must be finite or null, were not: {}",
                bad.list.drop_nulls().list.join(", "),
            )
        )
        yield make_hits("feature_values", "not_finite", "quarantine", 1.0, at, reasons.to_series())
    if view.rows.height < _ROWS_MIN:
        return
    counts = view.rows.select(pl.col(c).count() for c in names).row(0)
    for name, count in zip(names, counts, strict=True):
        if count == 0:
            reason = (
                f"feature {name} must be known somewhere, was null on all {view.rows.height} rows"
            )
            yield table_hit("feature_values", "empty", "warn", 0.9, reason)


COMPUTED_RULES = (
    TableRule(
        name="feature_values",
        kinds=("not_finite", "empty", "no_rows"),
        severity="block",
        tables=("features",),
        find=_find,
        text="features are finite or null, and each is known on some row",
    ),
)
