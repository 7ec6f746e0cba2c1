"""What fills and nights cost in an experiment: models by name, or plain basis points."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from models.experiments import fields
from swarm_core.commissions import BpsCommission
from swarm_core.frictions.named import PARTS, venue_of
from swarm_core.frictions.slippage import BpsSlippage
from swarm_core.frictions.venue import Venue

# A part of the value and nothing else, in place of a model: (its field, what it stands for, most).
SHORT = {"commission_bps": ("commission", 100.0), "slippage_bps": ("slippage", 500.0)}


def read_costs(value: object) -> Mapping[str, object]:
    """Return the costs of a file, each field checked; {} keeps the desk's own."""
    given = fields.mapping_of({} if value is None else value, "costs", (*SHORT, *PARTS))
    venue_with(given, Venue())
    return given


def venue_with(given: Mapping[str, object], default: Venue) -> Venue:
    """Return the venue that these costs describe; what they leave open is the default's.

    Raises ExperimentError with one line where a field does not hold.
    """
    venue = default
    for name, (model, most) in SHORT.items():
        if name not in given:
            continue
        if model in given:
            raise fields.wrong(
                f"costs.{name}", f"left out where costs.{model} is given", given[name]
            )
        bps = Decimal(str(fields.number(given[name], f"costs.{name}", 0.0, most)))
        if model == "commission":
            venue = replace(venue, commission=BpsCommission(bps=bps))
        else:
            venue = replace(venue, fills=replace(venue.fills, slippage=BpsSlippage(bps)))
    try:
        return venue_of({k: v for k, v in given.items() if k not in SHORT}, venue)
    except ValueError as error:
        told = str(error)
        lead = "costs." if told.startswith(PARTS) else "costs: "
        raise fields.ExperimentError(f"{lead}{told}") from error
