"""An experiment's file: what holds is read, what does not is told in one line."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from models.experiments.fields import ExperimentError
from models.experiments.points import check_points, grid_points, point_text, resolve
from models.experiments.spec import Member, read_spec
from models.experiments.strategy import FunctionStrategy
from models.experiments.windows import partition_key, split_key, windows_of
from swarm_core.commissions import IbFixedCommission, PerContractCommission
from swarm_core.frictions.slippage import BpsSlippage, SquareRootSlippage
from swarm_core.orders import OrderKind
from swarm_core.risk.limits import RiskLimits
from tests.models.experiments.builders import content, make_ground, make_spec

ORDER = {"day": "2020-01-02", "instrument": "A", "side": "buy", "quantity": 1}


def test_a_whole_experiment_is_read() -> None:
    """Every field arrives, dates as dates, members with the days they belonged."""
    spec = make_spec(
        universe=["US.A", {"instrument": "US.B", "from": "2020-02-01", "to": "2020-06-30"}],
        costs={"commission_bps": 1.5},
        risk_limits={"gross_fraction_max": 1.2},
        sweep={"axes": {"worker.gross_max": [0.5, 1.0]}},
    )
    assert spec.universe.members[1] == Member("US.B", date(2020, 2, 1), date(2020, 6, 30))
    assert spec.costs == {"commission_bps": 1.5}
    assert spec.look_ahead_samples > 0, "the guard must be on where nothing is said"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"question": ""}, "question must be text, was ''"),
        ({"name": "Not Good"}, "name must be lower_snake_case of at most 41 letters"),
        ({"start": "soon"}, "start must be a date as YYYY-MM-DD, was 'soon'"),
        ({"end": "2019-01-01"}, "end must be after start (2020-01-01), was '2019-01-01'"),
        ({"universe": []}, "universe must be all_tradable or a list of members, was []"),
        ({"universe": [{"name": "x"}]}, "universe[0].name must be one of instrument, from, to"),
        (
            {"universe": [{"instrument": "A", "from": "2020-02-01", "to": "2020-01-01"}]},
            "universe[0].to must be at or after from (2020-02-01)",
        ),
        ({"costs": {"commission_bps": -1}}, "costs.commission_bps must be in 0..100, was -1"),
        ({"costs": {"fee": 1}}, "costs.fee must be one of commission_bps, slippage_bps"),
        ({"costs": {"commission": {"model": "free"}}}, "costs.commission.model must be one of bps"),
        (
            {"costs": {"slippage": {"model": "ticks", "bps": 1}}},
            "costs.slippage.bps must be one of ticks",
        ),
        (
            {"costs": {"commission_bps": 1, "commission": {"model": "ib_fixed"}}},
            "costs.commission_bps must be left out where costs.commission is given, was 1",
        ),
        (
            {"costs": {"participation_fraction_max": 2}},
            "costs.participation_fraction_max must be in [0, 1.0], was 2",
        ),
        ({"costs": {"latency": {"bars": -1}}}, "costs.latency"),
        ({"costs": {"borrow": {"lots": {"A": 1.5}}}}, "costs.borrow.lots.A must be a whole number"),
        (
            {"costs": {"interest": {"USD": {"credit": 9}}}},
            "costs.interest.USD: credit rate must be",
        ),
        (
            {"costs": {"price_limit_fraction": 0}},
            "costs: fraction of price limits must be in (0, 1]",
        ),
        ({"risk_limits": {"gross": 1}}, "risk_limits.gross must be one of gross_fraction_max"),
        (
            {"risk_limits": {"messages_max": -1}},
            "risk_limits.messages_max must be in [0, 1000000], was -1",
        ),
        ({"risk_limits": {"restricted": "A"}}, "risk_limits.restricted must be a list of names"),
        ({"orders": {"kind": "limit"}}, "orders.kind must be one of market, market_on_open"),
        (
            {"orders": {"time_in_force": "week"}},
            "orders.time_in_force must be one of day, gtc, ioc",
        ),
        ({"orders": {"dust_fraction": 2}}, "orders.dust_fraction must be in 0..1, was 2"),
        ({"strategy": {"source": "a ="}}, "strategy.file must define weights, raised SyntaxError"),
        ({"strategy": {"source": "a = 1"}}, "strategy.file must define weights, raised NameError"),
        ({"strategy": {"orders": []}}, "strategy.orders must be a list that is not empty"),
        (
            {"strategy": {"orders": [{"day": "2020-01-02", "instrument": "A", "side": "hold"}]}},
            "strategy.orders[0].side must be one of buy, sell, was 'hold'",
        ),
        (
            {"strategy": {"orders": [ORDER | {"kind": "limit"}]}},
            "strategy.orders[0].limit must be given for a limit order, was None",
        ),
        (
            {"strategy": {"orders": [ORDER | {"quantity": 0}]}},
            "strategy.orders[0].quantity must be a positive number, was 0",
        ),
        (
            {"contracts": {"F": {"root": "F"}}},
            "contracts.F.expires must be a date as YYYY-MM-DD, was None",
        ),
        (
            {"contracts": {"O": {"expires": "2020-01-02", "underlying": "A", "right": "swap"}}},
            "contracts.O.strike must be a number",
        ),
        ({"rolls": {"style": "never"}}, "rolls.style must be one of calendar, volume, was 'never'"),
        ({"rolls": {"sessions_before": 0}}, "rolls.sessions_before must be at least 1"),
        ({"sweep": {"axes": {}}}, "sweep.axes must be at least one axis"),
        (
            {"sweep": {"axes": {"a": 3}}},
            "sweep.axes.a must be a list of values, or whole numbers {from, to}, was 3",
        ),
        ({"sweep": {"axes": {"a": {"from": 4, "to": 3}}}}, "sweep.axes.a.to must be"),
        ({"sweep": {"axes": {"a": {"from": 1, "to": 10_001}}}}, "sweep.axes.a.to must be"),
        ({"sweep": {"axes": {"a": []}}}, "sweep.axes.a must be a list that is not empty"),
        (
            {"sweep": {"method": "optuna", "axes": {"a": {"low": 2, "high": 1}}}},
            "sweep.axes.a.high must be above low (2), was 1.0",
        ),
        ({"walk_forward": {"test_months": 0}}, "test_months must be a whole number in 1..240"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"look_ahead_samples": True}, "look_ahead_samples must be a whole number"),
        ({"questoin": "typo"}, "questoin must be one of name, question"),
    ],
)
def test_a_wrong_field_gets_one_line(changes: dict[str, Any], told: str) -> None:
    """The line names the field, what must hold, and what was given."""
    with pytest.raises(ExperimentError) as raised:
        make_spec(**changes)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_holds_no_mapping_gets_one_line() -> None:
    """A list where fields are expected is refused by what it is."""
    with pytest.raises(ExperimentError, match="the experiment must be a mapping"):
        read_spec("x", [content()])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"colony": {"workers": {}}}, "colony.workers must be one of"),
        ({"senses": ["no_such_sense"]}, "no_such_sense"),
        ({"sweep": {"axes": {"worker.no_such": [1]}}}, "worker.no_such must be one of"),
        ({"sweep": {"axes": {"worker.gross_max": [1, -4]}}}, "worker.gross_max=-4"),
        (
            {"sweep": {"axes": {"costs.slippage_bps": [1, 900]}}},
            "costs.slippage_bps must be in 0..500, was 900",
        ),
    ],
)
def test_a_setting_that_the_colony_refuses_gets_one_line(
    changes: dict[str, Any], told: str
) -> None:
    """Every value of every axis is tried before the first backtest is run."""
    spec = make_spec(**{k: v for k, v in changes.items() if k != "colony"})
    if "colony" in changes:
        spec = make_spec(**changes)
    with pytest.raises(ExperimentError) as raised:
        check_points(spec, make_ground())
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_grid_has_every_combination_and_each_sets_what_it_names() -> None:
    """Two axes of two values are four points; limits and costs are set as well as the colony."""
    spec = make_spec(
        sweep={"axes": {"risk_limits.gross_fraction_max": [0.5, 1.0], "costs.slippage_bps": [0, 9]}}
    )
    points = grid_points(spec)
    assert len(points) == 4
    last = resolve(spec, points[-1], make_ground())
    assert last.colony.worker.gross_max == 1.0
    assert last.limits.gross_fraction_max == 1.0
    assert last.venue.fills.slippage == BpsSlippage(Decimal("9.0"))
    assert len({point_text(p) for p in points}) == 4


def test_every_model_of_a_venue_can_be_an_axis() -> None:
    """Commissions as a list of models, and one number of a slippage, each in its own trial."""
    models = [{"model": "ib_fixed"}, {"model": "per_contract", "per_contract": 2}]
    spec = make_spec(
        costs={"slippage": {"model": "square_root", "bps": 1, "impact_bps": 5}},
        orders={"kind": "market_on_close"},
        sweep={"axes": {"costs.commission": models, "costs.slippage.impact_bps": [0, 20]}},
    )
    check_points(spec, make_ground())
    found = [resolve(spec, point, make_ground()) for point in grid_points(spec)]
    assert [type(f.venue.commission) for f in found[::2]] == [
        IbFixedCommission,
        PerContractCommission,
    ]
    assert found[1].venue.fills.slippage == SquareRootSlippage(Decimal(1), Decimal(20))
    assert {f.sizing.kind for f in found} == {OrderKind.MARKET_ON_CLOSE}


def test_a_parameter_of_a_function_can_be_an_axis_and_an_unknown_one_is_refused() -> None:
    """The colony has no such parameters at all."""
    source = "def weights(market, fast):\n    return market.close * fast\n"
    given = {"source": source, "parameters": {"fast": 1}}
    spec = make_spec(strategy=given, sweep={"axes": {"strategy.fast": [3, 4]}})
    found = [resolve(spec, point, make_ground()).strategy for point in grid_points(spec)]
    assert [s.parameters for s in found if isinstance(s, FunctionStrategy)] == [
        (("fast", 3),),
        (("fast", 4),),
    ]
    wrong = make_spec(strategy=given, sweep={"axes": {"strategy.slow": [3]}})
    with pytest.raises(ExperimentError, match=r"strategy\.slow must be one of fast, was 'slow'"):
        check_points(wrong, make_ground())
    colony = make_spec(sweep={"axes": {"strategy.fast": [3]}})
    with pytest.raises(ExperimentError, match="must be a parameter of a strategy with a function"):
        check_points(colony, make_ground())


def test_limits_of_every_level_are_taken() -> None:
    """Those of the strategy itself bind the experiment, those of another do not concern it."""
    ground = make_ground()
    for levels in (
        {"strategy": {"colony": {"gross_fraction_max": 0.5}}},
        {"strategy": {"another": {"gross_fraction_max": 0.5}}},
        {"instrument": {"A": {"order_value_max": 5}}, "trader": {"b": {"repeats_max": 2}}},
    ):
        limits = RiskLimits.from_mapping({**ground.limits.to_mapping(), "levels": levels})
        check_points(make_spec(), replace(ground, limits=limits))


def test_windows_follow_each_other_without_a_gap() -> None:
    """Each month of the dates after the warm-up is scored once, and the warm-up lies before."""
    windows = windows_of(make_spec())
    assert [w.key for w in windows] == ["2020-03", "2020-07", "2020-11"]
    assert all(a.end == b.start for a, b in pairwise(windows))
    assert all(w.warmup_start < w.start for w in windows)
    assert windows[-1].end == date(2021, 1, 1)


def test_dates_that_leave_nothing_to_score_are_refused() -> None:
    """A warm-up as long as the dates leaves no window."""
    with pytest.raises(ExperimentError, match="end must be after the first warm-up"):
        windows_of(make_spec(walk_forward={"warmup_months": 12}))


def test_a_partition_key_names_experiment_and_window() -> None:
    """Splitting a key gives back what it was made of; another text is refused."""
    spec = make_spec()
    assert split_key(partition_key(spec, windows_of(spec)[0])) == ("trial", "2020-03")
    with pytest.raises(ExperimentError, match=r"must be EXPERIMENT\|WINDOW"):
        split_key("trial")
