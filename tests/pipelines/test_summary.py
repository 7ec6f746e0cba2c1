"""The table on the terminal says what was measured, and where nothing could be, why."""

import pytest

from pipelines.summary import held_out_ic


@pytest.mark.parametrize("metrics", [{}, {"rank_ic": float("nan")}])
def test_an_ic_that_could_not_be_measured_is_no_number(metrics: dict[str, float]) -> None:
    assert held_out_ic(metrics) == "none: too few instruments a day"


def test_a_measured_ic_is_signed() -> None:
    assert held_out_ic({"rank_ic": 0.0433}) == "+0.0433"
