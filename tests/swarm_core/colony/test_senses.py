"""Every sense that ships passes the kit, and the kit finds what it is there to find."""

from pathlib import Path

import numpy as np
import pytest

from swarm_core.colony import sense_kit, senses
from swarm_core.colony.blueprint import blueprint
from swarm_core.colony.sense import Derived, Genome, Sense
from swarm_core.colony.senses.registry import get_sense, register, sense_names
from swarm_core.colony.settings import DEFAULT_SENSES, ColonySettings


@pytest.mark.parametrize("name", DEFAULT_SENSES)
def test_every_sense_keeps_what_a_sense_promises(name: str) -> None:
    sense_kit.check_sense(get_sense(name))


@pytest.mark.parametrize("name", DEFAULT_SENSES)
def test_every_sense_names_where_its_idea_was_published(name: str) -> None:
    assert any(character.isdigit() for character in get_sense(name).source)


def test_all_shipped_senses_are_on_by_default() -> None:
    assert set(DEFAULT_SENSES) <= set(sense_names())


def test_the_kit_finds_a_column_that_looks_across_bars() -> None:
    leaky = Sense(
        name="leaky",
        source="made up 2026",
        derived={
            "ahead": Derived(inputs=("x",), function=lambda x: np.roll(np.nan_to_num(x), -1, 0))
        },
        genomes=(Genome(column="ahead"),),
    )
    with pytest.raises(AssertionError, match="must not depend on the shape"):
        sense_kit.check_sense(leaky)


def test_the_kit_finds_a_scout_that_does_not_abstain() -> None:
    bold = Sense(
        name="bold",
        source="made up 2026",
        derived={"certain": Derived(inputs=("x",), function=lambda x: np.nan_to_num(x) + 1.0)},
        genomes=(Genome(column="certain"),),
    )
    with pytest.raises(AssertionError, match="must abstain on NaN"):
        sense_kit.check_sense(bold)


def test_a_name_is_registered_once() -> None:
    first = Sense(name="once", source="made up 2026", genomes=(Genome(column="x"),))
    assert register(first) is register(first)
    with pytest.raises(ValueError, match="must be registered once"):
        register(Sense(name="once", source="made up 2026", genomes=(Genome(column="y"),)))


def test_a_file_of_ones_own_is_a_sense_once_the_settings_name_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tenant_senses"
    folder.mkdir()
    (folder / "fade.py").write_text(
        "from swarm_core.colony.sense import Genome, Sense\n"
        "fade = Genome(column='z', gain=-1.0)\n"
        "SENSE = Sense(name='fade', source='made up 2026', genomes=(fade,))\n"
    )
    (folder / "empty.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    plan = blueprint(ColonySettings(senses=("tenant_senses.fade", "carry")))
    assert {sense.name for sense in plan.senses} == {"fade", "carry"}
    sense_kit.check_sense(get_sense("tenant_senses.fade"))
    with pytest.raises(ValueError, match="must be a module that holds a SENSE"):
        get_sense("tenant_senses.empty")
    with pytest.raises(ValueError, match="must be a module that can be imported"):
        get_sense("tenant_senses.nowhere")


def test_every_file_of_the_folder_is_found() -> None:
    files = {path.stem for path in Path(senses.__path__[0]).glob("*.py")}
    assert files - {"__init__", "registry"} <= set(sense_names())


def test_an_unknown_sense_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"sense must be one of .*breakout"):
        blueprint(ColonySettings(senses=("breakfast",)))


def test_a_memory_column_cannot_look_back_further_than_the_memory() -> None:
    register(Sense(name="far", source="made up", genomes=(Genome(column="memory_return_64"),)))
    with pytest.raises(ValueError, match="must look back 1 to 63 bars"):
        blueprint(ColonySettings(senses=("far",)))
