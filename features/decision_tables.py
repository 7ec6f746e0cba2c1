"""From the colony's decisions to the tables that people query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from features.schemas import TableSchema
from features.schemas_derived import DECISION_CONTRIBUTIONS, DECISIONS, REGIMES, TRAILS
from swarm_core.colony.decision import Decision, Floats


@dataclass(frozen=True, slots=True)
class DecisionTables:
    """The rows of some sessions' decisions."""

    decisions: pl.DataFrame
    contributions: pl.DataFrame
    trails: pl.DataFrame
    regimes: pl.DataFrame

    def named(self) -> dict[str, pl.DataFrame]:
        """Return the tables by their names in the store."""
        return {
            DECISIONS.name: self.decisions,
            DECISION_CONTRIBUTIONS.name: self.contributions,
            TRAILS.name: self.trails,
            REGIMES.name: self.regimes,
        }


def decision_tables(
    decisions: Sequence[tuple[str, datetime, datetime, Decision]],
) -> DecisionTables:
    """Return the rows of (session, close, as_of, decision), in the order given."""
    parts = [_tables(*item) for item in decisions]
    return DecisionTables(
        decisions=pl.concat([DECISIONS.empty(), *(p.decisions for p in parts)]),
        contributions=pl.concat(
            [DECISION_CONTRIBUTIONS.empty(), *(p.contributions for p in parts)]
        ),
        trails=pl.concat([TRAILS.empty(), *(p.trails for p in parts)]),
        regimes=pl.concat([REGIMES.empty(), *(p.regimes for p in parts)]),
    )


def _tables(session: str, close: datetime, as_of: datetime, decision: Decision) -> DecisionTables:
    head = {
        "session": date.fromisoformat(session),
        "event_time": close,
        "knowledge_time": as_of,
        "decision_id": decision.decision_id,
    }
    best = int(decision.regime_posterior.argmax()) if decision.regime_posterior.size else -1
    return DecisionTables(
        decisions=_framed(
            DECISIONS,
            {
                "instrument_id": list(decision.instrument_ids),
                "conviction": decision.conviction,
                "target_weight": decision.target_weights,
                "reason": list(decision.reasons),
            },
            {
                **head,
                "regime": decision.regime_names[best] if best >= 0 else None,
                "colony_state_digest": decision.state_digest_after,
            },
        ),
        contributions=_framed(
            DECISION_CONTRIBUTIONS,
            _grid(
                "sense",
                "contribution",
                decision.sense_names,
                decision,
                decision.sense_contributions,
            ),
            head,
        ),
        trails=_framed(
            TRAILS,
            _grid("channel", "value", decision.channel_names, decision, decision.trails),
            head,
        ),
        regimes=_framed(
            REGIMES,
            {"regime": list(decision.regime_names), "probability": decision.regime_posterior},
            head,
        ),
    )


def _grid(
    name: str, value: str, names: Sequence[str], decision: Decision, values: Floats
) -> dict[str, object]:
    """Return a [names x instruments] array as columns: instrument_id, name, value."""
    count = len(decision.instrument_ids)
    return {
        "instrument_id": list(decision.instrument_ids) * len(names),
        name: [n for n in names for _ in range(count)],
        value: values.reshape(-1),
    }


def _framed(
    schema: TableSchema, columns: dict[str, object], head: dict[str, object]
) -> pl.DataFrame:
    shared = {name: pl.lit(value) for name, value in head.items() if name in schema.columns}
    return schema.conform(pl.DataFrame(columns).with_columns(**shared))
