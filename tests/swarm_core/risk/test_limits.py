"""The limits: bounded, and read from files with one clear line per fault."""

from dataclasses import fields
from decimal import Decimal

import pytest

from swarm_core.risk.limits import RiskLimits


def test_limits_survive_the_way_to_a_file_and_back() -> None:
    limits = RiskLimits(
        order_value_max=Decimal("12345.67"), restricted=frozenset({"US.A"}), messages_max=7
    )

    assert RiskLimits.from_mapping(limits.to_mapping()) == limits


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"gross": 1}, r"limits must be among .*, had \['gross'\]"),
        ({"gross_fraction_max": "lots"}, "gross_fraction_max must be a number, was 'lots'"),
        ({"gross_fraction_max": True}, "gross_fraction_max must be a number, was True"),
        ({"gross_fraction_max": -0.1}, r"gross_fraction_max must be in \[0.0, 100.0\], was -0.1"),
        ({"gross_fraction_max": float("nan")}, "gross_fraction_max must be finite, was nan"),
        ({"messages_max": 1.5}, "messages_max must be a whole number, was 1.5"),
        ({"restricted": "US.A"}, "restricted must be a list of names, was 'US.A'"),
        ({"short_locate_required": "no"}, "short_locate_required must be true or false, was 'no'"),
        ({"order_value_max": -1}, r"order_value_max must be in \[0, 100000000000\], was -1"),
    ],
)
def test_a_fault_in_a_file_gives_one_clear_line(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        RiskLimits.from_mapping(mapping)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name", [f.name for f in fields(RiskLimits) if isinstance(f.default, float | int | Decimal)]
)
def test_every_number_is_bounded(name: str) -> None:
    if isinstance(getattr(RiskLimits(), name), bool):
        return
    for value in (-1, 10**15):
        with pytest.raises(ValueError, match=f"{name} must be in"):
            RiskLimits.from_mapping({name: value})


def test_fractions_resolve_to_exact_integers() -> None:
    resolved = RiskLimits(gross_fraction_max=0.1, collar_fraction_max=0.07).resolve(1_000_000)

    assert resolved.gross == 100_000  # 0.1 of NAV, not the binary float below or above it
    assert resolved.collar_ppm == 70_000
