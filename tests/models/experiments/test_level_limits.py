"""Limits by level bind an experiment as they bind the desk, the tightest of all."""

from typing import Any

import pytest

from models.experiments.fields import ExperimentError
from tests.models.experiments.known import flat, order, run, share

pytestmark = pytest.mark.xdist_group("experiments")  # what they compile is compiled once


def _held(
    levels: dict[str, Any], rolls: dict[str, Any] | None = None, **limits: Any
) -> list[float]:
    """Buy 100 of A and 100 of B at 50.00, 5,000 each of 100,000; return the weights at the end."""
    told = run(
        [share("A"), share("B")],
        {"A": flat(50, 4), "B": flat(50, 4)},
        {"orders": [order(0, "buy", 100), order(0, "buy", 100, instrument="B")]},
        risk_limits={"levels": levels, **limits},
        **({} if rolls is None else {"rolls": rolls}),
    )
    return told.walked.held[-1].tolist()


@pytest.mark.parametrize(
    ("levels", "held"),
    [
        ({}, [0.05, 0.05]),
        ({"instrument": {"A": {"order_value_max": 5_000}}}, [0.05, 0.05]),
        ({"instrument": {"A": {"order_value_max": 4_999}}}, [0.0, 0.05]),
        ({"instrument": {"B": {"position_fraction_max": 0.0499}}}, [0.05, 0.0]),
        ({"instrument": {"C": {"position_fraction_max": 0.0}}}, [0.05, 0.05]),
        ({"trader": {"anna": {"gross_fraction_max": 0.0999}}}, [0.05, 0.0]),
        ({"tenant": {"hive": {"restricted": ["A"]}}}, [0.0, 0.05]),
        ({"tenant": {"hive": {"permitted_asset_classes": ["fx"]}}}, [0.0, 0.0]),
        ({"tenant": {"h": {"messages_max": 9}}, "trader": {"a": {"messages_max": 1}}}, [0.05, 0.0]),
        ({"strategy": {"another": {"order_value_max": 1}}}, [0.05, 0.05]),
        ({"strategy": {"colony": {"order_value_max": 4_999}}}, [0.0, 0.0]),
        ({"strategy": {"colony": {"gross_fraction_max": 0.0999}}}, [0.05, 0.0]),
        ({"strategy": {"colony": {"restricted": ["A"]}}}, [0.0, 0.05]),
    ],
)
def test_the_tightest_of_all_levels_counts(levels: dict[str, Any], held: list[float]) -> None:
    assert _held(levels) == held


def test_a_level_does_not_loosen_what_the_firm_has() -> None:
    loose = {"instrument": {"A": {"order_value_max": 1_000_000}}}
    assert _held(loose, order_value_max=4_999) == [0.0, 0.0]


def test_limits_of_a_strategy_beside_whose_orders_rolls_are_sent_are_told() -> None:
    with pytest.raises(ExperimentError, match=r"strategy colony must be met .* of colony, roll"):
        _held({"strategy": {"colony": {"order_value_max": 1}}}, rolls={"style": "calendar"})
