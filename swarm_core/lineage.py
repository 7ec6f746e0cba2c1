"""The chain of ids from a decision back to the model, the features and the raw rows."""

from dataclasses import dataclass

ROW_PREFIX = "targets-"  # decisions that are a row of a target file are named so
END_PREFIX = "end-"  # and those that close or roll a contract before its last trading day


def is_row(decision_id: str) -> bool:
    """Return whether a decision is a row of a target file, and not a slice of one."""
    return decision_id.startswith(ROW_PREFIX) and "/" not in decision_id


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
