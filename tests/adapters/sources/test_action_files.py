"""Splits and dividends in files of their own, as vendors lay them out and name them."""

from pathlib import Path

import pytest

from adapters.sources.mapping import MappingError
from tests.adapters.sources.test_inference import EVER, SESSIONS, inferred

SPLIT_ON, PAID_ON = SESSIONS[-2], SESSIONS[1]
SPLIT, PAYMENT = ("split", 4.0, None), ("dividend", None, 0.82)


def prices() -> str:
    """Return raw bars with a split of 4 for 1."""
    rows = [f"{day},{40 if day < SPLIT_ON else 10}" for day in SESSIONS]
    return "\n".join(["Date,Close", *rows])


def found(folder: Path, files: dict[str, str]) -> list[tuple[object, ...]]:
    """Return the actions of AAPL beside its prices, which say that these are raw."""
    source = inferred(folder, {"prices/AAPL.csv": prices(), **files})
    bars, actions = (source.fetch(table, *EVER) for table in ("bars", "corporate_actions"))
    assert set(bars["instrument_id"]) == set(actions["instrument_id"]) == {"US.AAPL"}
    assert "macro" not in source.tables
    assert set(bars["adjustment"]) == {"raw"}
    return actions.sort("event_time").select("kind", "ratio", "amount").rows()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("splits/AAPL.csv", f"Date,Stock Splits\n{SPLIT_ON},4:1\n"),
        ("splits/AAPL.csv", f"Date,Stock Splits\n{SPLIT_ON},4.0\n"),
        ("splits/AAPL.US.csv", f'date,split\n{SPLIT_ON},"4.000000/1.000000"\n'),
        ("AAPL_splits.csv", f"effective_date,split_factor\n{SPLIT_ON},4-for-1\n"),
        ("splits_AAPL.csv", f"date,ratio\n{SPLIT_ON},4/1\n"),
        ("AAPL/splits.csv", f"execution_date,split_from,split_to\n{SPLIT_ON},1,4\n"),
    ],
)
def test_a_file_of_splits_may_be_named_for_its_share(tmp_path: Path, name: str, text: str) -> None:
    """A number was a series of macro values, a ratio was asked about."""
    assert found(tmp_path, {name: text}) == [SPLIT]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dividends/AAPL.csv", f"Date,Dividends\n{PAID_ON},0.82\n"),
        ("AAPL_div.csv", f"Date,Dividends\n{PAID_ON},0.82\n"),
        (
            "div/AAPL.US.csv",
            f"date,paymentDate,value,unadjustedValue\n{PAID_ON},{SESSIONS[-1]},0.205,0.82\n",
        ),
        ("distributions.csv", f"ticker,exDate,distribution\nAAPL,{PAID_ON},0.82\n"),
    ],
)
def test_a_file_of_dividends_may_be_named_for_its_share(
    tmp_path: Path, name: str, text: str
) -> None:
    split = {"splits/AAPL.csv": f"Date,Stock Splits\n{SPLIT_ON},4:1\n"}
    assert found(tmp_path, {name: text, **split}) == [PAYMENT, SPLIT]


def test_a_file_of_both_is_named_for_its_share(tmp_path: Path) -> None:
    text = f"Date,Dividends,Stock Splits\n{PAID_ON},0.82,0.0\n{SPLIT_ON},0.0,4.0\n"
    assert found(tmp_path, {"actions/AAPL.csv": text}) == [PAYMENT, SPLIT]


@pytest.mark.parametrize("words", [("split", "dividend"), ("SPLIT", "DIVIDEND")])
def test_a_column_says_which_kind_of_action_a_row_is(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    text = "date,action,ticker,name,value,contraticker\n"
    text += f"{SPLIT_ON},{words[0]},AAPL,APPLE,4,\n{PAID_ON},{words[1]},AAPL,APPLE,0.82,\n"
    text += f"{SESSIONS[0]},tickerchangefrom,AAPL,APPLE,,APPL\n"
    assert found(tmp_path, {"SHARADAR_ACTIONS.csv": text}) == [PAYMENT, SPLIT]


def test_a_table_of_prices_and_splits_is_named_for_its_share_behind_the_vendors_name(
    tmp_path: Path,
) -> None:
    rows = [
        f"{day},{40 if day < SPLIT_ON else 10},0,{4 if day == SPLIT_ON else 1}" for day in SESSIONS
    ]
    text = "\n".join(["Date,Close,Dividend,Split", *rows])
    source = inferred(tmp_path, {"EOD-AAPL.csv": text})
    actions = source.fetch("corporate_actions", *EVER)
    assert actions.select("instrument_id", "kind", "ratio").rows() == [("US.AAPL", "split", 4.0)]


def test_actions_that_no_column_tells_are_asked_about_and_are_no_series(tmp_path: Path) -> None:
    text = f"Symbol,Date,Type,Description,Quantity\nAAPL,{SPLIT_ON},FS,SPLIT 4 FOR 1,300\n"
    with pytest.raises(MappingError, match="which of its columns tell the kind of an action"):
        inferred(tmp_path, {"AAPL.csv": prices(), "corporate_actions.csv": text})


def test_a_yield_of_dividends_is_a_series(tmp_path: Path) -> None:
    text = "Date,Value\n" + "".join(f"{day},1.{n}\n" for n, day in enumerate(SESSIONS))
    assert inferred(tmp_path, {"SP500_DIV_YIELD.csv": text}).tables == ("macro",)


@pytest.mark.parametrize("name", ["corporate_bonds.csv", "economic_events.csv"])
def test_a_table_of_values_by_code_is_of_no_actions(tmp_path: Path, name: str) -> None:
    text = "date,code,value" + "".join(f"\n{day},BAA,1.{n}" for n, day in enumerate(SESSIONS))
    assert inferred(tmp_path, {name: text}).tables == ("macro",)


def test_splits_that_are_turned_over_are_asked_about(tmp_path: Path) -> None:
    """1:4 is a reverse split; of prices that fell to a quarter all history was put aside."""
    files = {"AAPL.csv": prices(), "splits.csv": f"symbol,date,ratio\nAAPL,{SPLIT_ON},1:4\n"}
    with pytest.raises(MappingError, match=r"step the other way: US\.AAPL by 0\.25"):
        inferred(tmp_path, files)
