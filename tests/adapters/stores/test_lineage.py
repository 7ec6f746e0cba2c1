"""Lineage: an order leads to its raw rows, and a raw row to every order that it touched."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from adapters.stores.event_log_sqlite import SqliteEventLog
from adapters.stores.lineage import LineageQueries, render
from adapters.stores.tables_delta import DeltaTableStore
from features.schemas import BARS
from swarm_core.events import (
    DecisionTaken,
    OrderApproved,
    OrderDenied,
    OrderFilled,
    OrderIntended,
    WorkingStarted,
)
from swarm_core.execution.impact import WorkingForecast
from swarm_core.execution.working import WorkingPlan
from swarm_core.orders import OrderSide
from swarm_core.risk.codes import DenialCode
from tests.adapters.stores.lineage_market import (
    DAY,
    DECIDED,
    FIRST,
    LAST,
    ORDER_A,
    ORDER_B,
    SESSION,
    SESSIONS,
    TICKERS,
    Cards,
    at,
    make_bars,
    write_decision,
    write_tables,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[SqliteEventLog, DeltaTableStore]:
    root = tmp_path_factory.mktemp("lineage")
    store = DeltaTableStore(root / "cold")
    lineage = write_tables(store)
    write_decision(store)
    taken = DecisionTaken(
        event_id="e1",
        time_ns=at(0),
        lineage=lineage,
        instrument_ids=TICKERS,
        target_weights=(0.1, -0.1),
    )
    id_a, id_b = ORDER_A.client_order_id, ORDER_B.client_order_id
    log = SqliteEventLog(root / "events.db")
    log.append(
        [
            taken,
            OrderIntended(event_id="e2", time_ns=at(1), order=ORDER_A),
            OrderIntended(event_id="e3", time_ns=at(1), order=ORDER_B),
            OrderApproved(
                event_id="e4",
                time_ns=at(2),
                client_order_id=id_a,
                attempt=1,
                reference_ticks=39900,
                value_micros=2_793_000_000,
            ),
            OrderDenied(
                event_id="e5",
                time_ns=at(2),
                client_order_id=id_b,
                code=next(iter(DenialCode)),
                measured=9,
                limit=5,
                detail="in lots",
            ),
            OrderFilled(
                event_id="e6",
                time_ns=at(60),
                client_order_id=id_a,
                execution_id="X1",
                instrument_id="US.A",
                side=OrderSide.BUY,
                lots=7,
                price_ticks=40000,
                lot_tick_minor=1_000_000,
                currency="USD",
                commission_minor=100,
            ),
        ]
    )
    return log, store


@pytest.fixture
def queries(world: tuple[SqliteEventLog, DeltaTableStore]) -> LineageQueries:
    return LineageQueries(*world, Cards())


def test_an_order_leads_to_verdict_decision_model_features_and_raw_rows(
    queries: LineageQueries,
) -> None:
    tree = queries.explain_order(ORDER_A.client_order_id)

    kinds = {n.kind for n in tree.walk()}
    assert {"order", "verdict", "fill", "decision", "contributions", "state"} <= kinds
    assert {"model", "features", "raw_rows"} <= kinds
    assert "missing" not in kinds
    contributions = tree.find("contributions")
    assert contributions is not None
    assert dict(contributions.facts) == {"momentum": 0.5, "macro": -0.1}
    decision, model = tree.find("decision"), tree.find("model")
    assert decision is not None
    assert model is not None
    assert decision.facts["reason"] == "quorum"
    assert model.facts["forecast"] == 1.5
    assert model.facts["training_end"] == "2023-02-01"


def test_a_slice_tells_the_schedule_of_its_parent_and_what_that_was_expected_to_cost(
    world: tuple[SqliteEventLog, DeltaTableStore],
) -> None:
    log, store = world
    forecast = WorkingForecast(
        instrument_id="US.A", schedule="vwap", lots=70, arrival_ticks=39_900, touch=3.5,
        impact=10.0, deviation=40.0,
    )  # fmt: skip
    plan = WorkingPlan(
        decision_id="whole", instrument_ids=("US.A", "US.B"), start_weights=(0.0, 0.0),
        target_weights=(0.1, 0.1), moments_ns=(at(100), at(200)),
        done_ppm=(500_000, 10**6, 500_000, 10**6), forecasts=(forecast,), impact_coefficient=1.5,
    )  # fmt: skip
    slices = [replace(order, decision_id="whole/1") for order in (ORDER_A, ORDER_B)]
    log.append(
        [
            WorkingStarted(event_id="w1", time_ns=at(90), decision_id="whole", plan=plan),
            *(
                OrderIntended(event_id=f"s{at_}", time_ns=at(100), order=order)
                for at_, order in enumerate(slices)
            ),
        ]
    )
    queries = LineageQueries(log, store, Cards())

    known, unknown = (
        queries.explain_order(order.client_order_id).find("schedule") for order in slices
    )
    assert known is not None
    assert unknown is not None
    assert known.title == "slice of whole: vwap"
    assert known.facts["expected_impact"] == 15.0
    assert known.facts["impact_coefficient"] == 1.5
    assert unknown.title == "slice of whole: its market is not known"
    assert queries.explain_order(ORDER_A.client_order_id).find("schedule") is None


def test_the_raw_rows_are_exactly_those_in_reach_with_their_addresses(
    queries: LineageQueries,
) -> None:
    tree = queries.explain_order(ORDER_A.client_order_id)
    bars, macro, news, actions = (n.rows for n in tree.walk() if n.kind == "raw_rows")

    assert [r["source_row"] for r in bars] == list(range(SESSIONS - 253, SESSIONS))
    assert {r["source"] for r in bars} == {"vendor@abc"}
    assert [r["value"] for r in macro] == [24.0, 25.0, 26.0, 27.0, 28.0, 29.0]
    assert {r["series_id"] for r in macro} == {"VIXCLS"}
    assert [r["features"] for r in macro] == [*["vix_change_5d"] * 5, "vix, vix_change_5d"]
    assert [r["headline"] for r in news] == ["up"]
    assert [(r["kind"], r["ratio"]) for r in actions] == [("split", 2.0)]


def test_a_denied_order_shows_its_numbers(queries: LineageQueries) -> None:
    denial = queries.explain_order(ORDER_B.client_order_id).find("denial")

    assert denial is not None
    assert (denial.facts["measured"], denial.facts["limit"]) == (9, 5)


def test_the_tree_is_json_and_a_picture_for_the_terminal(queries: LineageQueries) -> None:
    tree = queries.explain_order(ORDER_A.client_order_id)

    assert json.loads(tree.to_json())["kind"] == "order"
    console = Console(record=True, width=160, file=None, quiet=False, no_color=True)
    with console.capture() as captured:
        console.print(render(tree))
    text = captured.get()
    assert "momentum" in text
    assert "... 247 more" in text
    assert "vendor@abc" in text


def test_a_row_out_of_a_folder_of_files_names_its_file_and_its_row_there(
    world: tuple[SqliteEventLog, DeltaTableStore],
) -> None:
    found = {"vendor@abc": Path("folder/bars.csv")}
    queries = LineageQueries(
        *world, find_file=lambda source, row: (found[source], row) if source in found else None
    )

    tree = queries.explain_order(ORDER_A.client_order_id)
    bars, macro, *_ = (n.rows for n in tree.walk() if n.kind == "raw_rows")

    assert (bars[-1]["file"], bars[-1]["file_row"]) == ("folder/bars.csv", SESSIONS - 1)
    assert "file" not in macro[-1]
    console = Console(width=200, no_color=True)
    with console.capture() as captured:
        console.print(render(tree))
    assert f"bars.csv:{SESSIONS - 1}" in captured.get()


def test_an_order_id_may_be_cut_short_but_not_guessed(queries: LineageQueries) -> None:
    whole = ORDER_A.client_order_id

    assert queries.explain_order(whole[:12]).title == f"order {whole}"
    with pytest.raises(KeyError, match="named in full"):
        queries.explain_order("A")
    with pytest.raises(KeyError, match="holds no order"):
        queries.explain_order("nothing")


def touched(queries: LineageQueries, table: str, **row: object) -> set[tuple[str, str]]:
    found = queries.orders_touched_by(table, **row)  # type: ignore[arg-type]  # shortened for tests
    return set(found.select("instrument_id", "touch").iter_rows())


@pytest.mark.parametrize(
    ("sessions_back", "expected"),
    [
        (0, {("US.A", "features"), ("US.A", "cross_section"), ("US.B", "cross_section")}),
        (252, {("US.A", "features"), ("US.A", "cross_section"), ("US.B", "cross_section")}),
        (253, set()),
        (299, {("US.A", "training"), ("US.B", "training")}),
    ],
)
def test_a_bar_touches_orders_as_far_as_features_reach(
    queries: LineageQueries, sessions_back: int, expected: set[tuple[str, str]]
) -> None:
    time = LAST - DAY * sessions_back

    assert touched(queries, "bars", instrument_id="US.A", event_time=time) == expected


def test_both_directions_agree_on_every_bar(queries: LineageQueries) -> None:
    tree = queries.explain_order(ORDER_A.client_order_id)
    rows = next(n.rows for n in tree.walk() if n.kind == "raw_rows")

    for row in (*rows[:3], *rows[-3:]):
        found = queries.orders_touched_by(
            "bars", instrument_id="US.A", event_time=row["event_time"], source="vendor"
        )
        assert ORDER_A.client_order_id in found["order_id"].to_list()


def test_macro_and_news_touch_every_order_they_can_be_read_in(queries: LineageQueries) -> None:
    both = {("US.A", "features"), ("US.B", "features")}
    training = {("US.A", "training"), ("US.B", "training")}
    oldest, newest = FIRST, FIRST + DAY * 280

    assert touched(queries, "macro", series_id="VIXCLS", event_time=newest) == both
    assert touched(queries, "macro", series_id="VIXCLS", event_time=oldest) == training
    assert touched(queries, "macro", series_id="ENDED", event_time=FIRST + DAY * 40) == set()
    assert touched(queries, "news", event_time=LAST - DAY) == both
    assert touched(queries, "news", event_time=LAST - DAY, instrument_id="market") == both
    assert touched(queries, "news", event_time=LAST - DAY * 7) == set()


def test_a_split_touches_orders_whose_features_read_bars_that_it_scales(
    queries: LineageQueries,
) -> None:
    """A dividend is left in the price, so it reaches a model's training window at most."""
    own = {("US.A", "features"), ("US.A", "cross_section"), ("US.B", "cross_section")}
    within, beyond, dividend = (LAST - DAY * i for i in (10, 280, 5))

    assert touched(queries, "corporate_actions", instrument_id="US.A", event_time=within) == own
    assert own.isdisjoint(
        touched(queries, "corporate_actions", instrument_id="US.A", event_time=beyond)
    )
    assert touched(queries, "corporate_actions", instrument_id="US.A", event_time=dividend) == set()


def test_a_row_known_only_after_the_decision_touched_nothing(
    world: tuple[SqliteEventLog, DeltaTableStore], tmp_path: Path
) -> None:
    log, _ = world
    store = DeltaTableStore(tmp_path)
    write_tables(store)
    late = make_bars("US.C").tail(1).with_columns(knowledge_time=pl.lit(DECIDED + DAY))
    store.append("raw_bars", late, key=BARS.key)

    queries = LineageQueries(log, store)

    assert touched(queries, "bars", instrument_id="US.C", event_time=LAST) == set()


def test_a_row_that_nobody_has_is_a_key_error(queries: LineageQueries) -> None:
    with pytest.raises(KeyError, match=r"no stored row is US\.Z"):
        queries.orders_touched_by("bars", instrument_id="US.Z", event_time=LAST)
    with pytest.raises(ValueError, match="table must be"):
        queries.orders_touched_by("options", event_time=LAST)


def test_links_that_are_missing_are_named(
    world: tuple[SqliteEventLog, DeltaTableStore], tmp_path: Path
) -> None:
    queries = LineageQueries(world[0], DeltaTableStore(tmp_path))

    tree = queries.explain_order(ORDER_A.client_order_id)

    assert [n.title for n in tree.walk() if n.kind == "missing"] == [
        "no contributions of senses are stored",
        f"no feature row of US.A on {date.isoformat(SESSION)}",
    ]
