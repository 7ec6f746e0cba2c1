"""The universe of a desk: read off the data by its first run, written down, and kept to."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import yaml
from pydantic import BaseModel, ConfigDict

from features.universe import Universe, liquidity_rule, most_liquid
from pipelines.chosen_market import keep, read_kept
from pipelines.desk_settings import Universe as UniverseSettings
from pipelines.settings import ApiarySettings, SettingsError

UNIVERSE_FILE = "universe.json"
_EVER = datetime(1800, 1, 1, tzinfo=UTC)


class ChosenUniverse(BaseModel):
    """What a first run chose, by which rule: who belongs to it from each moment on.

    `values` has what each of the last ones was chosen by; homes of older releases have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_liquid: int
    spans: tuple[tuple[datetime, tuple[str, ...]], ...]
    values: tuple[float, ...] = ()


def write_most_liquid(config: Path, count: int) -> None:
    """Let a configuration that was written for a folder of files decide on so many instruments."""
    content = yaml.safe_load(config.read_text())
    content["universe"] = {"most_liquid": count}
    config.write_text(yaml.safe_dump(content, sort_keys=False))


def settle_universe(
    settings: ApiarySettings, bars: pl.DataFrame, decided_from: datetime
) -> Universe | None:
    """Return the desk's universe, chosen out of these session bars where it was not before.

    None where all of its market is traded. Raises SettingsError where it does not fit the bars, or
    another rule chose the universe of this home: what is held must be decided on.
    """
    wanted = settings.universe
    if wanted is None:
        return None
    if wanted.instruments:
        held = set(bars["instrument_id"].unique())
        unknown = sorted(set(wanted.instruments) - held)
        if unknown:
            raise SettingsError(
                f"universe.instruments must have bars of the desk's market, {unknown[0]} has none"
            )
        return find_universe(settings)
    path = settings.home / UNIVERSE_FILE
    if not path.is_file():
        if settings.foreign_currencies:
            raise SettingsError(
                "universe.most_liquid must be of one currency, foreign_currencies are "
                f"{', '.join(settings.foreign_currencies)}: name universe.instruments instead"
            )
        count = wanted.most_liquid or 0
        try:
            chosen = most_liquid(bars, count, decided_from)
        except ValueError as error:
            raise SettingsError(f"universe: {error}") from error
        keep(path, ChosenUniverse(most_liquid=count, spans=chosen.spans, values=chosen.values))
    return find_universe(settings)


def find_universe(settings: ApiarySettings) -> Universe | None:
    """Return the universe that is configured or was written down; None where all is traded.

    Raises SettingsError where it is still to be chosen, or was chosen by another rule.
    """
    wanted = settings.universe
    if wanted is None:
        return None
    if wanted.instruments:
        names = tuple(sorted(wanted.instruments))
        return Universe(((_EVER, names),), f"the {len(names)} that universe.instruments lists")
    path = settings.home / UNIVERSE_FILE
    if not path.is_file():
        raise SettingsError(
            f"universe must be read off the data by `apiary run` first: {path} is not there"
        )
    kept = read_kept(path, ChosenUniverse)
    if kept.most_liquid != wanted.most_liquid:
        raise SettingsError(
            f"universe.most_liquid must stay {kept.most_liquid} in {settings.home}, whose book was "
            f"begun with it, was {wanted.most_liquid}: take another home"
        )
    return Universe(kept.spans, liquidity_rule(kept.most_liquid), kept.values)


def universe_sentence(universe: Universe, wanted: UniverseSettings) -> str:
    """Return what is decided on, for people."""
    count = len(universe.newest)
    if wanted.instruments:
        return f"the {count} instruments that are listed"
    return f"the {count} most liquid instruments as of {universe.spans[-1][0]:%Y-%m-%d}"
