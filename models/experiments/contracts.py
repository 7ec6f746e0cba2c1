"""Contracts that end: futures with their rolls, options with what their expiry brings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from models.experiments import fields
from models.experiments.fields import wrong
from swarm_core.derivatives.futures import CalendarRoll, FutureContract, VolumeRoll
from swarm_core.derivatives.options import OptionContract, OptionRight, OptionSettlement

Roll = CalendarRoll | VolumeRoll
STYLES: dict[str, type[Roll]] = {"calendar": CalendarRoll, "volume": VolumeRoll}
_FUTURE = ("expires", "root")
_OPTION = ("expires", "underlying", "right", "strike", "settlement", "listed")


@dataclass(frozen=True, slots=True)
class Contracts:
    """The contracts of an experiment that end in it, and how futures of a root are rolled.

    `listed` has the days at which the terms of options held; of the others it is that of the
    first bar. Splits since then have changed them.
    """

    futures: tuple[FutureContract, ...] = ()
    options: tuple[OptionContract, ...] = ()
    roll: Roll | None = None
    listed: Mapping[str, date] = field(default_factory=dict[str, date])

    def chains(self) -> Mapping[str, Sequence[FutureContract]]:
        """Return the futures of each root in the order in which they end."""
        roots: dict[str, list[FutureContract]] = {}
        for contract in sorted(self.futures, key=lambda c: (c.expiry_session, c.instrument_id)):
            roots.setdefault(contract.root, []).append(contract)
        return roots


@dataclass(slots=True)
class _Read:
    futures: list[FutureContract] = field(default_factory=list[FutureContract])
    options: list[OptionContract] = field(default_factory=list[OptionContract])
    listed: dict[str, date] = field(default_factory=dict[str, date])


def read_contracts(value: object, rolls: object) -> Contracts:
    """Return the contracts and rolls of a file's fields; raises ExperimentError with one line."""
    read = _Read()
    for name, terms in fields.mapping_of({} if value is None else value, "contracts").items():
        where = f"contracts.{name}"
        given = fields.mapping_of(terms, where, tuple(dict.fromkeys((*_FUTURE, *_OPTION))))
        expires = fields.day(given.get("expires"), f"{where}.expires")
        if "root" in given:
            fields.mapping_of(terms, where, _FUTURE)
            root = fields.text(given["root"], f"{where}.root")
            read.futures.append(
                FutureContract(instrument_id=name, root=root, expiry_session=expires.isoformat())
            )
        else:
            read.options.append(_option(name, given, expires, where))
            if "listed" in given:
                read.listed[name] = fields.day(given["listed"], f"{where}.listed")
    return Contracts(tuple(read.futures), tuple(read.options), _roll(rolls), read.listed)


def _option(name: str, given: Mapping[str, object], expires: date, where: str) -> OptionContract:
    rights, ways = (tuple(kind.value for kind in e) for e in (OptionRight, OptionSettlement))
    way = given.get("settlement", OptionSettlement.PHYSICAL.value)
    strike = fields.number(given.get("strike"), f"{where}.strike", 1e-8, 1e9)
    return OptionContract(
        instrument_id=name,
        underlying_id=fields.text(given.get("underlying"), f"{where}.underlying"),
        right=OptionRight(fields.choice(given.get("right"), f"{where}.right", rights)),
        strike=Decimal(str(strike)),
        expiry_session=expires.isoformat(),
        settlement=OptionSettlement(fields.choice(way, f"{where}.settlement", ways)),
    )


def _roll(value: object) -> Roll | None:
    if value is None:
        return None
    given = fields.mapping_of(value, "rolls", ("style", "sessions_before"))
    style = fields.choice(given.get("style", "calendar"), "rolls.style", tuple(STYLES))
    model = STYLES[style]
    if "sessions_before" not in given:
        return model()
    before = fields.count(given["sessions_before"], "rolls.sessions_before", 0, 250)
    if before == 0:
        raise wrong("rolls.sessions_before", "at least 1: the orders fill a session later", before)
    return model(sessions_before=before)
