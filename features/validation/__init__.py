"""Rules that judge rows before anything is computed from them: findings, verdicts, quarantine."""

from features.validation.context import CheckContext
from features.validation.copies import later_copies
from features.validation.engine import check
from features.validation.findings import FINDINGS
from features.validation.quarantine import split
from features.validation.report import ValidationReport
from features.validation.settings import ValidationSettings

__all__ = [
    "FINDINGS",
    "CheckContext",
    "ValidationReport",
    "ValidationSettings",
    "check",
    "later_copies",
    "split",
]
