"""Settings: there and back, bounded, and clear about what is wrong."""

import dataclasses
import hashlib
import json

import pytest

from swarm_core.colony.engine import check_fits, new_state
from swarm_core.colony.parameters import parameters
from swarm_core.colony.settings import ColonySettings


def test_settings_survive_their_mapping() -> None:
    settings = ColonySettings.from_mapping(
        {"trust": {"edges": [0.5], "shares": [0.01]}, "memory_bars": 40}
    )
    again = ColonySettings.from_mapping(settings.to_mapping())
    assert again == settings
    assert again.digest() == settings.digest()
    assert settings.digest() != ColonySettings().digest()
    assert settings.trust.edges == (0.5,)


def test_what_was_decided_by_before_a_setting_was_added_is_read_as_it_was_then() -> None:
    """The text of that time does not name it, and its new default is not what was computed."""
    now = ColonySettings()
    then = json.loads(now.text())
    assert then["trust"].pop("memory_cost_part") == 0.0
    assert then["drone"].pop("simple_returns_enabled") is True
    assert then["drone"].pop("drift_weights_enabled") is True
    assert then["queen"].pop("budget_exact_enabled") is True
    text = json.dumps(then, sort_keys=True, separators=(",", ":"))
    read = ColonySettings.from_text(text)
    assert read.trust.memory_cost_part == 1.0
    assert not read.drone.simple_returns_enabled
    assert not read.drone.drift_weights_enabled
    assert not read.queen.budget_exact_enabled
    assert read.digest() == hashlib.sha256(text.encode()).hexdigest() != now.digest()
    assert ColonySettings.from_text(now.text()) == now


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"memory_bars": 2}, "colony: memory_bars must be between 8 and 1024, was 2"),
        ({"trust": {"edges": []}}, "colony.trust: edges must have at least one value"),
        ({"trust": {"edgs": [1]}}, r"colony.trust must have only the settings .*had \['edgs'\]"),
        ({"worker": {"gross_max": "1.5"}}, "gross_max must be a number, was '1.5'"),
        ({"worker": {"gross_max": float("nan")}}, "gross_max must be between 0 and 100, was nan"),
        ({"drone": {"enabled": 1}}, "colony.drone: enabled must be true or false, was 1"),
        (
            {"recruitment": {"horizon": 1_000.0, "quality_gain": 1_000.0}},
            "must be at most 100,000 steps a bar, was 2,007,300",
        ),
        ({"senses": []}, "senses must name at least one sense"),
        ({"queen": 3}, "colony.queen must be a mapping, was 3"),
        ({"senses": "carry"}, "colony: senses must be a list, was 'carry'"),
        ({"senses": [1]}, r"colony: senses must be texts, had \['int'\]"),
        ({"trust": {"horizons": 1}}, "colony.trust: horizons must be a list, was 1"),
        ({"trust": {"horizon_weights": [0.0]}}, "horizon_weights must not all be 0"),
        ({"worker": {"cost_bps": 10**400}}, "cost_bps must be between 0 and 1000, was 1000"),
    ],
)
def test_what_is_out_of_bounds_is_refused_in_one_line(
    mapping: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ColonySettings.from_mapping(mapping)
    assert "\n" not in str(caught.value)


def test_every_setting_of_every_caste_is_bounded() -> None:
    """A number far out of any sense is refused wherever it stands."""
    for caste in dataclasses.fields(ColonySettings):
        factory = caste.default_factory
        if not (isinstance(factory, type) and dataclasses.is_dataclass(factory)):
            continue
        for field in dataclasses.fields(factory):
            default = getattr(factory(), field.name)
            wrong = ["x"] if isinstance(default, tuple) else -1e12
            with pytest.raises((ValueError, TypeError)):
                factory(**{field.name: wrong})


def test_a_whole_number_is_as_good_as_a_float_and_no_kernel_is_compiled_for_it() -> None:
    whole = ColonySettings.from_mapping(
        {
            "trust": {"edges": [1], "shares": [0], "outcome_clip": 6},
            "worker": {"gross_max": 2, "volatility_target": 1},
            "drone": {"gross_max": 2},
            "recruitment": {"inhibition": 4},
        }
    )
    for group, usual in zip(parameters(whole), parameters(ColonySettings()), strict=True):
        for name, value in usual._asdict().items():
            found = getattr(group, name)
            assert type(found) is type(value), name
            assert getattr(found, "dtype", None) == getattr(value, "dtype", None), name


def test_equal_settings_that_are_written_differently_are_each_told_by_their_own_form() -> None:
    first, second = (ColonySettings.from_mapping({"worker": {"gross_max": g}}) for g in (3, 3.0))
    assert first == second
    assert first.digest() != second.digest()
    for settings in (first, second):  # whatever was asked before
        check_fits(settings, new_state(settings, ("A",), 1), 1)
