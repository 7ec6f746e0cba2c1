"""An experiment through Dagster: launched, idempotent, guarded, and refused in one line."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner

from adapters.reports.tearsheet import TearsheetPages
from assets.experiment_market import check_tables
from models.experiments.fields import ExperimentError
from models.experiments.points import check_points
from models.experiments.trials import LAUNCHED, PEEKED
from pipelines import backtests as module
from pipelines.backtests import (
    BUILDERS,
    FOLDER,
    experiment_files,
    keys_of,
    launch,
    read_file,
)
from pipelines.cli import app
from pipelines.definitions import defs
from pipelines.launches import OWNER
from pipelines.research import compare, read_finished
from pipelines.sensors import tearsheets_sensor
from tests.models.experiments.builders import make_ground
from tests.pipelines.homes import Home, open_home
from tests.pipelines.market_files import market_rows, write_two_markets

pytestmark = pytest.mark.xdist_group("experiments")
PLAIN: dict[str, Any] = {
    "question": "does it pay?",
    "start": "2017-01-02",
    "end": "2017-12-29",
    "colony": {"recruitment": {"enabled": False}},
    "walk_forward": {"warmup_months": 3, "test_months": 6},
    "sweep": {"axes": {"worker.gross_max": [0.5, 1.0]}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with features and forecasts of a small market, and bars of another exchange."""
    path = tmp_path_factory.mktemp("experiments")
    mapping = write_two_markets(path / "data", market_rows())
    with (
        pytest.MonkeyPatch.context() as patch,
        open_home(path, path / "data", mapping, patch) as opened,
    ):
        opened.chain.whole(opened.windows)
        yield opened


def _write(folder: Path, **changes: Any) -> Path:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(PLAIN | changes))
    return path


def _launches() -> int:
    ledger: Any = BUILDERS["trial_ledger"]()
    return [r["kind"] for r in ledger.records()].count(LAUNCHED)


def test_an_experiment_runs_window_by_window_and_a_second_time_reads(
    home: Home, tmp_path: Path
) -> None:
    """Every window passes the guard; launched again, nothing is run and the hashes are equal."""
    path = _write(tmp_path)
    told: list[str] = []
    steps: list[str] = []
    first = launch(path, defs, home.instance, lambda r, n, c: told.append(f"{n}/{c}"), steps.append)
    assert told == ["1/2", "2/2"]
    for step in ("small 2017-05: trial 2 of 2", "small: judge point 2 of 2", "small: write the"):
        assert any(line.startswith(step) for line in steps), steps
    assert all(run.success and not run.failed_checks for run in first), first
    assert set(home.instance.get_dynamic_partitions("experiments")) >= {r.partition for r in first}
    launched = _launches()
    assert launched == 4, "two windows of two points"
    pages = home.workshop.home / "backtests" / "tearsheets"
    written = (pages / "small.html").stat().st_mtime_ns
    again = launch(path, defs, home.instance, lambda *_: None)
    assert [r.figures["result_hash"] for r in again] == [r.figures["result_hash"] for r in first]
    assert _launches() == launched
    assert (pages / "small.html").stat().st_mtime_ns == written, "nothing new to say"
    assert first[-1].figures["trials"] == 2
    page = (pages / "small.html").read_text()
    assert "after 2 trials on record" in page
    assert "What each instrument added" in page
    beside = (pages / "side_by_side.html").read_text()
    assert "small: worker.gross_max" in beside
    for figure in ("overfitting", "spa"):
        assert re.search(rf"<span>{figure}</span><b>[\d.]+", beside), "of the sweep it is from"


def test_an_experiment_spans_two_exchanges(home: Home, tmp_path: Path) -> None:
    """Window by window, guarded, on a page, and read the second time; its features are London's."""
    (tmp_path / "turns.py").write_text(
        "import numpy as np\n"
        "def weights(market, size):\n"
        "    moved = market.features['ret_1d']\n"
        "    return np.clip(-size * moved, -0.1, 0.1)\n"
    )
    path = _write(
        tmp_path,
        name="spans",
        universe=["US.ANT", "US.BEE", "XLON.ANT", {"instrument": "XLON.CAT", "to": "2017-09-29"}],
        start="2017-01-09",
        strategy={"file": "turns.py", "function": "weights", "parameters": {"size": 2.0}},
        sweep={"axes": {"strategy.size": [2.0, 4.0]}},
    )
    first = launch(path, defs, home.instance, lambda *_: None)
    assert [run.success for run in first] == [True, True]
    assert not any(run.failed_checks for run in first), first
    launched = _launches()
    again = launch(path, defs, home.instance, lambda *_: None)
    assert [r.figures["result_hash"] for r in again] == [r.figures["result_hash"] for r in first]
    assert _launches() == launched
    page = (home.workshop.home / "backtests" / "tearsheets" / "spans.html").read_text()
    assert "XLON.CAT" in page


def test_a_member_that_no_exchange_is_known_of_is_refused(home: Home, tmp_path: Path) -> None:
    path = _write(tmp_path, name="nowhere", universe=["US.ANT", "XLON.NONE"])
    runs = launch(path, defs, home.instance, lambda *_: None)
    told = {line for run in runs for line in run.failed_checks}
    assert told == {
        "models.experiments.fields.ExperimentError: universe must be instruments that have "
        "features, was 'XLON.NONE'"
    }


@pytest.mark.parametrize(("trials", "workers"), [(3, 1), (4, 2)])
def test_a_search_asks_for_the_same_points_again(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int, workers: int
) -> None:
    """A search over a range ends with the same bytes, and the second time launches nothing.

    With two workers it asks for two points at a time, and they have them all.
    """
    if workers > 1:
        monkeypatch.setattr("models.experiments.running.run_backtest", _in_workers_only)
    # Other bounds for each, so that neither reads what the other has run.
    axes = {"worker.gross_max": {"low": 0.2 + workers / 10, "high": 1.0}}
    search = {"method": "optuna", "axes": axes, "trials": trials, "workers": workers}
    path = _write(tmp_path, name=f"search_{workers}", sweep=search)
    first = launch(path, defs, home.instance, lambda *_: None)
    assert [run.figures.get("points") for run in first] == [trials, trials], first
    launched = _launches()
    again = launch(path, defs, home.instance, lambda *_: None)
    assert [r.figures["result_hash"] for r in again] == [r.figures["result_hash"] for r in first]
    assert _launches() == launched


def _in_workers_only(*_: object) -> None:
    raise AssertionError("trials of a search over workers must run in them")


def test_a_strategy_that_peeks_fails_the_check(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that moves with its future is named in the failed check."""
    from models.experiments import guard

    def peeking(_: object) -> Any:
        return lambda market: market.panel.prices[::-1].copy()

    monkeypatch.setattr(guard, "trial_decides", peeking)
    runs = launch(_write(tmp_path, name="peeks"), defs, home.instance, lambda *_: None)
    assert all("must be decided the same without" in run.failed_checks[0] for run in runs)
    ledger: Any = BUILDERS["trial_ledger"]()
    peeks = [r["trial_id"] for r in ledger.records() if r["kind"] == PEEKED]
    assert peeks
    assert len(peeks) == len(set(peeks))
    launch(_write(tmp_path, name="peeks"), defs, home.instance, lambda *_: None)  # once is enough
    assert [r["kind"] for r in ledger.records()].count(PEEKED) == len(peeks)
    pages = home.workshop.home / "backtests" / "tearsheets"
    page = (pages / "peeks.html").read_text()
    assert "looks ahead, no figure of it holds: " in page
    assert "more than luck." not in page


def test_what_a_window_fails_on_is_told_in_its_own_words(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.experiments import guard

    def broken(_: object) -> Any:
        raise ValueError("strategy.weights must be finite, was inf on 2017-05-02")

    monkeypatch.setattr(guard, "trial_decides", broken)
    runs = launch(_write(tmp_path, name="breaks"), defs, home.instance, lambda *_: None)
    told = {line for run in runs for line in run.failed_checks}
    assert told == {"ValueError: strategy.weights must be finite, was inf on 2017-05-02"}


def test_tearsheets_that_could_not_be_written_are_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The windows are done and kept; no path is named as though a page lay there."""

    def full(*_: object) -> Path:
        raise OSError("the disk must have room, was full")

    monkeypatch.setattr(TearsheetPages, "write", full)
    done: list[bool] = []
    path = _write(tmp_path, name="unwritten")
    with pytest.raises(ExperimentError) as error:
        launch(path, defs, home.instance, lambda run, *_: done.append(run.success))
    assert done == [True, True]
    assert str(error.value) == (
        "the tearsheets must be written, were not: OSError: the disk must have room, was full"
    )


def test_a_wrong_experiment_is_refused_before_anything_runs(home: Home, tmp_path: Path) -> None:
    """No partition is added and nothing is counted where a value of an axis fails."""
    before = _launches(), set(home.instance.get_dynamic_partitions("experiments"))
    wrong = _write(tmp_path, name="wrong", sweep={"axes": {"worker.no_such": [1]}})
    with pytest.raises(ExperimentError, match=r"worker\.no_such must be one of"):
        launch(wrong, defs, home.instance, lambda *_: None)
    assert (_launches(), set(home.instance.get_dynamic_partitions("experiments"))) == before


def test_a_backfill_of_the_ui_ends_with_its_pages(home: Home, tmp_path: Path) -> None:
    """No page is written while a window waits, and one run writes them once all are over."""
    key = keys_of(experiment_files(home.workshop.home).get(_kept(home, tmp_path)))[0]
    home.instance.add_dynamic_partitions("experiments", [key])
    job = defs.resolve_job_def("backtest_job")
    waiting = home.instance.create_run_for_job(
        job_def=job, tags={"dagster/partition": key}, status=dg.DagsterRunStatus.STARTING
    )
    home.instance.create_run_for_job(
        job_def=job, tags={OWNER: "killed.launch"}, status=dg.DagsterRunStatus.STARTED
    )
    assert job.execute_in_process(instance=home.instance, partition_key=key).success
    with dg.build_sensor_context(instance=home.instance) as context:
        told: Any = tearsheets_sensor(context)
        assert told.skip_message == "windows of experiments are still to be run"
        home.instance.report_run_canceled(waiting)
        asked = tearsheets_sensor(context)
        assert isinstance(asked, dg.RunRequest)
        again = tearsheets_sensor(context)
        assert isinstance(again, dg.RunRequest)
        assert again.run_key == asked.run_key, "Dagster starts one run for a key"
    pages = defs.resolve_job_def("tearsheet_job")
    assert pages.execute_in_process(instance=home.instance).success
    with dg.build_sensor_context(instance=home.instance) as context:
        told = tearsheets_sensor(context)
        assert told.skip_message == "the tearsheets are newer than every window"


def _kept(home: Home, folder: Path) -> str:
    path = _write(folder, name="of_the_ui")
    return experiment_files(home.workshop.home).keep(path).name


def test_the_sensor_adds_the_partitions_of_what_is_written_down(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file gets its partitions; once they are there, nothing is asked for."""
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    experiment_files(home.workshop.home).keep(_write(tmp_path, name="fresh"))
    with dg.build_sensor_context(instance=home.instance) as context:
        result: Any = module.experiments_sensor(context)
        (request,) = result.dynamic_partitions_requests
        assert "fresh|2017-05" in request.partition_keys
        assert len(set(request.partition_keys)) == len(request.partition_keys)
        home.instance.add_dynamic_partitions("experiments", list(request.partition_keys))
        assert isinstance(module.experiments_sensor(context), dg.SkipReason)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_shipped_experiment_holds(path: Path) -> None:
    """Every file in the folder can be launched."""
    check_points(read_file(path), make_ground())


def test_a_mistake_on_the_command_line_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that does not exist, and one that is no YAML."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [")
    with pytest.raises(ExperimentError, match="must be valid YAML"):
        read_file(bad)
    with pytest.raises(ExperimentError, match="must be a file that exists"):
        read_file(tmp_path / "none.yaml")
    shown = CliRunner().invoke(app, ["backtest", "--help"])
    assert "trials" in shown.output


def test_a_home_without_tables_is_told_of_the_chain() -> None:
    class Empty:
        def exists(self, name: str) -> bool:
            return False

    with pytest.raises(ExperimentError, match="which `apiary run` makes, had no clean_bars"):
        check_tables(Empty())  # type: ignore[arg-type]  # all that is asked of it


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"question: a\nquestion: b\n", r"must be valid YAML: question stands twice .*line 1"),
        (b"costs: {commission_bps: 1, commission_bps: 0}\n", "commission_bps stands twice"),
        (b"\xff\xfequestion: a\n", r"must be text in UTF-8, .* was not at byte 0"),
        (b"a: [1, 2\n", "must be valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(ExperimentError, match=told) as error:
        read_file(path)
    assert "\n" not in str(error.value)


def test_fields_that_are_merged_in_may_be_written_over(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text(
        "question: q\nstart: 2016-01-04\nend: 2019-12-31\n"
        "costs: {<<: {commission_bps: 3, slippage_bps: 1}, commission_bps: 2}\n"
    )
    assert read_file(path).costs["commission_bps"] == 2


def test_the_best_point_of_a_sweep_is_tried_by_the_guard_as_well(
    home: Home, tmp_path: Path
) -> None:
    """The first point is honest; the second looks a session ahead, and is the best for it."""
    (tmp_path / "ahead.py").write_text(
        "import numpy as np\n"
        "def weights(market, ahead):\n"
        "    close = np.nan_to_num(market.close, nan=1.0)\n"
        "    moved = np.log(np.maximum(close, 1e-9))\n"
        "    moved = np.vstack([0 * moved[:1], np.diff(moved, axis=0)])\n"
        "    return 0.02 * np.sign(np.roll(moved, -ahead, axis=0))\n"
    )
    strategy = {"file": "ahead.py", "function": "weights", "parameters": {"ahead": 0}}
    path = _write(
        tmp_path,
        name="ahead",
        strategy=strategy,
        sweep={"axes": {"strategy.ahead": [0, 1]}},
    )
    runs = launch(path, defs, home.instance, lambda *_: None)
    assert all("must be decided the same without" in run.failed_checks[0] for run in runs)


def test_variants_that_cannot_be_compared_are_refused_in_one_line(home: Home) -> None:
    content = {k: PLAIN[k] for k in ("question", "start", "end")}
    before = _launches()
    for variants, told in (
        ({"a": {}, "b": {"end": "2017-06-30"}}, "b must be of the sessions and members of a"),
        ({"a": {"sweep": PLAIN["sweep"]}}, "variants must be compared over one window"),
        ({"a": {"colony": {"worker": {"gross_max": -1}}}}, "gross_max"),
        ({}, "variants must be at least one"),
    ):
        with pytest.raises(ExperimentError, match=told) as error:
            compare("refused", content, variants, lambda _: None)
        assert "\n" not in str(error.value)
    with pytest.raises(ExperimentError, match="must have run on the tables"):
        read_finished("never_ran")
    assert _launches() == before


def test_variants_that_are_one_count_once_and_one_that_peeks_is_refused(home: Home) -> None:
    content = {k: PLAIN[k] for k in ("question", "start", "end", "colony")}
    compared = compare("twins", content, {"a": {}, "b": {"seed": None}}, lambda _: None)
    first, second = compared.rows["a"], compared.rows["b"]
    assert first["net_return"].to_list() == second["net_return"].to_list()
    assert first["event_time"].is_unique().all()
    assert (first["point"][0], second["point"][0]) == ("a", "b")
    assert compared.count.trials == 1
    source = "import numpy as np\n\ndef weights(market):\n    return 0.01 * np.sign("
    honest, peeking = (
        {"strategy": {"source": f"{source}{said})\n"}, "colony": {}}
        for said in ("market.close", "np.roll(market.close, -1, axis=0) - market.close")
    )
    with pytest.raises(ExperimentError, match="ahead must not look ahead: ") as error:
        compare("ahead", content, {"honest": honest, "peeking": peeking}, lambda _: None)
    assert "\n" not in str(error.value)
