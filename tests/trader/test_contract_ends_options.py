"""Options near their last trading day: told with what their end brings, let only shrink, closed."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from swarm_core.contract_ends import EndSettings
from swarm_core.risk.codes import DenialCode
from tests.swarm_core.builders import make_instrument
from tests.trader.test_contract_ends import OPTION, Future, day


@pytest.mark.parametrize(
    ("lots", "risk"),
    [
        (3, "in the money they are exercised at the end"),
        (-3, "they may be assigned, at the end or before"),
    ],
)
def test_an_option_is_warned_of_with_what_its_end_brings_and_closed(
    tmp_path: Path, lots: int, risk: str
) -> None:
    option = make_option_desk(tmp_path, EndSettings(then="close"), lots)
    option.beat()
    assert [line for line in option.told if line.startswith(OPTION)] == [
        f"{OPTION}: last trading day {day(2)}, 2 sessions after this one, {lots} lots held, "
        f"it may only be reduced, {risk}, which takes or delivers the underlying, "
        "to be closed with 1 left"
    ]
    more = option.release("more", OPTION, lots + (2 if lots > 0 else -2))
    assert set(more.values()) == {DenialCode.POSITION_VALUE}
    assert option.ends.standing() == [line for line in option.told if line.startswith(OPTION)]

    option.beat(86_400)

    assert option.desk.book.lots(OPTION) == 0


def test_options_are_left_alone_where_the_settings_leave_them_out(tmp_path: Path) -> None:
    option = make_option_desk(tmp_path, EndSettings(then="close", asset_classes=("future",)), 3)

    option.beat(86_400)

    assert option.desk.book.lots(OPTION) == 3
    assert option.release("more", OPTION, 5) == {}
    assert not [line for line in option.told if line.startswith(OPTION)]


def make_option_desk(home: Path, settings: EndSettings, lots: int) -> Future:
    """Return a desk that holds lots of an option which ends in two sessions."""
    future = Future(home, settings, ends_in=90, lots=0)
    made = make_instrument(OPTION, asset_class="option", multiplier=Decimal(50), sector="index")
    future.desk.instruments = {**future.desk.instruments, OPTION: made}
    future.limits = future.desk.limits = replace(
        future.limits, permitted_asset_classes=frozenset({"equity", "future", "option"})
    )
    future.show(OPTION)
    future.release("held", OPTION, lots)
    future.days = {**future.days, OPTION: day(2)}
    future.ends = future.watched(settings)
    return future
