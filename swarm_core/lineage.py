"""The chain of ids from a decision back to the model, the features and the raw rows."""

import re
from dataclasses import dataclass

_END_DAY = re.compile(r"-(\d{4}-\d{2}-\d{2})-(?:\d+|\d{4}-\d{2}-\d{2})$")
ROW_PREFIX = "targets-"  # decisions that are a row of a target file are named so
END_PREFIX = "end-"  # and those that close or roll a contract before its last trading day


def is_row(decision_id: str) -> bool:
    """Return whether a decision is a row of a target file, and not a slice of one."""
    return decision_id.startswith(ROW_PREFIX) and "/" not in decision_id


def ends_contract(decision_id: str) -> bool:
    """Return whether a decision closes or rolls a contract that ends, and is nobody's view."""
    return decision_id.startswith(END_PREFIX)


def last_day_of(decision_id: str) -> str:
    """Return the last trading day (ISO date) that such a decision is named after, "" without one.

    `end-FUT.ESZ6-2026-12-18-1`: what follows the day tells the tries apart.
    """
    found = _END_DAY.search(decision_id) if ends_contract(decision_id) else None
    return "" if found is None else found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a decision stood on; a query walks these ids in both directions.

    Empty text stands where a decision had no such input, e.g. no model. `raw_versions` and
    `clean_versions` are "table@version" texts.
    """

    decision_id: str
    session: str
    colony_state_digest: str = ""
    model_name: str = ""
    model_version: str = ""
    feature_table_version: str = ""
    clean_versions: tuple[str, ...] = ()
    raw_versions: tuple[str, ...] = ()
    settings_digest: str = ""
    run_id: str = ""

    def __post_init__(self) -> None:
        if not self.decision_id:
            raise ValueError("decision_id of a lineage must not be empty, was ''")
