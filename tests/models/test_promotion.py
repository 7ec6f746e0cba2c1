"""The promotion rule: a challenger wins on the common record, or says by how much it did not."""

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.promotion import Evidence, PromotionRule, decide
from tests.models.builders import START

RULE = PromotionRule(replications=500)


def make_evidence(
    version: str = "b" * 16,
    *,
    ic: float = 0.03,
    decisions: int = 250,
    turnover: float | None = 0.2,
    psi: float | None = 0.2,
    noise: float = 0.1,
    first: int = 0,
) -> Evidence:
    """A record whose noise belongs to the day, so that two models share it."""
    draws = np.random.default_rng(0).normal(0, noise, first + decisions)[first:]
    return Evidence(
        version=version,
        decision_times=tuple(
            (START + timedelta(days=first + k)).isoformat() for k in range(decisions)
        ),
        rank_ics=tuple((ic + draws).tolist()),
        turnover=turnover,
        psi=psi,
    )


CHAMPION = make_evidence("a" * 16, ic=0.02)


def failing(verdict: object) -> set[str]:
    return {c.name for c in verdict.criteria if not c.holds}  # type: ignore[attr-defined]  # a decision


def test_a_challenger_that_is_better_every_day_is_promoted_with_numbers() -> None:
    verdict = decide(CHAMPION, make_evidence(ic=0.03), RULE)
    assert verdict.promote
    assert verdict.numbers["rank_ic_gain"] == pytest.approx(0.01)
    assert verdict.numbers["common_decisions"] == 250
    assert any("rank_ic_gain must be above 0, was 0.01: holds" in r for r in verdict.reasons)


def test_a_challenger_that_is_worse_or_equal_is_not() -> None:
    for ic in (0.01, 0.02):
        verdict = decide(CHAMPION, make_evidence(ic=ic), RULE)
        assert not verdict.promote
        assert "rank_ic_gain" in failing(verdict)


def test_a_gain_that_could_be_luck_is_not_enough() -> None:
    draws = np.random.default_rng(1).normal(0, 0.1, 250)
    lucky = draws - draws.mean() + 0.004
    challenger = make_evidence()
    noisy = Evidence(
        challenger.version,
        challenger.decision_times,
        tuple((np.array(CHAMPION.rank_ics) + lucky).tolist()),
        0.2,
        0.2,
    )
    verdict = decide(CHAMPION, noisy, RULE)
    assert verdict.numbers["rank_ic_gain"] > 0
    assert failing(verdict) == {"gain_probability"}


def test_the_more_challengers_were_tried_the_more_the_next_must_show() -> None:
    rng = np.random.default_rng(2)
    challenger = make_evidence()
    better = np.array(CHAMPION.rank_ics) + rng.normal(0.012, 0.08, 250)
    one = Evidence(challenger.version, challenger.decision_times, tuple(better.tolist()), 0.2, 0.2)
    assert decide(CHAMPION, one, RULE, attempts=1).promote
    assert not decide(CHAMPION, one, RULE, attempts=200).promote


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"turnover": 1.5}, "turnover"),
        ({"turnover": None}, "turnover"),
        ({"psi": 3.0}, "psi"),
        ({"psi": None}, "psi"),
        ({"psi": float("nan")}, "psi"),
        ({"decisions": 30}, "decisions"),
    ],
)
def test_what_breaks_a_bound_or_was_not_measured_fails(
    change: dict[str, float | None], name: str
) -> None:
    verdict = decide(CHAMPION, make_evidence(**{"ic": 0.05, **change}), RULE)  # type: ignore[arg-type]  # one field at a time
    assert not verdict.promote
    assert name in failing(verdict)


def test_records_are_compared_on_their_common_decisions_alone() -> None:
    later = make_evidence(ic=0.05, first=200)
    verdict = decide(CHAMPION, later, RULE)
    assert verdict.numbers["common_decisions"] == 50
    assert failing(verdict) == {"common_decisions"}


def test_a_first_model_is_promoted_and_the_reason_says_what_it_met() -> None:
    good, poor = decide(None, make_evidence(), RULE), decide(None, make_evidence(ic=-0.2), RULE)
    assert good.promote
    assert good.kind == "first"
    assert "the bar is met" in good.note
    assert poor.promote
    assert "though the bar is not met" in poor.note


def test_where_the_bar_is_needed_a_first_model_must_meet_it() -> None:
    rule = PromotionRule(first_needs_bar=True)
    assert decide(None, make_evidence(), rule).promote
    refused = decide(None, make_evidence(ic=-0.2), rule)
    assert not refused.promote
    assert "refused" in refused.note


def test_a_champion_is_not_its_own_challenger() -> None:
    assert not decide(CHAMPION, CHAMPION, RULE).promote


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_two_models_never_beat_each_other(one: float, other: float) -> None:
    a, b = make_evidence("a" * 16, ic=one), make_evidence("b" * 16, ic=other)
    assert not (decide(a, b, RULE).promote and decide(b, a, RULE).promote)


def test_the_verdict_is_the_same_each_time() -> None:
    assert decide(CHAMPION, make_evidence(), RULE) == decide(CHAMPION, make_evidence(), RULE)


def test_evidence_survives_a_card_and_refuses_uneven_records() -> None:
    values = json.loads(json.dumps(CHAMPION.to_dict()))
    assert Evidence.from_dict(values) == CHAMPION
    with pytest.raises(ValueError, match="rank_ics must be 2 values, were 1"):
        Evidence("v", ("x", "y"), (0.1,), None)


def test_a_rule_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence must be in"):
        PromotionRule(confidence=1.0)
    with pytest.raises(ValueError, match="attempts must be at least 1, were 0"):
        decide(CHAMPION, make_evidence(), RULE, attempts=0)
