"""The card keeps a model's whole story; the pictures are pictures and the same each time."""

import base64
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import drawing, plots
from models.card import ModelCard, card_frame, make_card
from models.code_hash import code_hash
from models.evaluation import Evaluation, evaluate
from models.promotion import decide
from models.settings import TrainingSettings
from models.training import TrainedModel, train
from tests.models.builders import make_panel_frame


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    settings = TrainingSettings(trials=2, folds=2, rounds_max=10, train_sessions_min=80, workers=1)
    return train(make_panel_frame(signal=0.5), settings)


@pytest.fixture(scope="module")
def judged(trained: TrainedModel) -> Evaluation:
    return evaluate(trained.holdout)


@pytest.fixture(scope="module")
def card(trained: TrainedModel, judged: Evaluation) -> ModelCard:
    return make_card(
        trained, judged, table_versions={"bars": 3}, code_hash="c0de", earlier_trials=40
    )


def test_a_card_survives_as_json(card: ModelCard) -> None:
    text = json.dumps(card.to_dict(), allow_nan=False)
    assert ModelCard.from_dict(json.loads(text)).to_dict() == card.to_dict()


def test_a_card_names_data_code_trials_and_limits(trained: TrainedModel, card: ModelCard) -> None:
    assert card.version == trained.version
    assert card.trials_count == 42
    page = card.to_markdown()
    assert 0 <= card.metrics["deflated_sharpe"] <= 1
    assert card.metrics["search_overfitting"] == trained.search_overfitting
    for told in (trained.version, trained.data_hash, "c0de", "42 parameter sets", "Limits:"):
        assert told in page


def test_a_card_alone_is_enough_for_the_promotion_rule(card: ModelCard) -> None:
    evidence = ModelCard.from_dict(json.loads(json.dumps(card.to_dict()))).to_evidence()
    verdict = decide(None, evidence)
    assert verdict.promote
    assert evidence.psi is not None
    assert np.mean(evidence.rank_ics) == pytest.approx(card.metrics["rank_ic"])


def test_a_card_that_lacks_a_field_is_refused(card: ModelCard) -> None:
    values = card.to_dict()
    del values["data_hash"]
    with pytest.raises(ValueError, match="must have its fields"):
        ModelCard.from_dict(values)


def test_cards_make_a_table(card: ModelCard) -> None:
    assert card_frame([card])["rank_ic"][0] == card.metrics["rank_ic"]


def pictures(trained: TrainedModel, judged: Evaluation) -> dict[str, Callable[[], bytes]]:
    returns = judged.by_decision.drop_nulls("strategy_return")
    return {
        "ic": lambda: plots.ic_over_time(judged),
        "spread": lambda: plots.quantile_spread(judged),
        "calibration": lambda: plots.calibration(judged),
        "importance": lambda: plots.importance(trained.importance),
        "drift": lambda: plots.drift(trained.drift),
        "equity": lambda: plots.equity_drawdown(
            returns["decision_time"], returns["strategy_return"].to_list()
        ),
    }


@pytest.mark.parametrize("name", ["ic", "spread", "calibration", "importance", "drift", "equity"])
def test_each_picture_is_a_png_of_some_size_and_always_the_same(
    name: str, trained: TrainedModel, judged: Evaluation
) -> None:
    draw = pictures(trained, judged)[name]
    png = draw()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    assert width >= 600
    assert height >= 300
    assert draw() == png


def test_a_picture_becomes_a_markdown_image() -> None:
    text = drawing.to_markdown(b"png", "rank IC")
    assert text.startswith("![rank IC](data:image/png;base64,")
    assert base64.b64decode(text.split(",")[1][:-1]) == b"png"


def test_a_curve_needs_one_return_for_each_time(judged: Evaluation) -> None:
    with pytest.raises(ValueError, match="finite values"):
        plots.equity_drawdown(judged.by_decision["decision_time"], [0.1])


def test_the_code_hash_is_that_of_the_sources_and_of_known_packages() -> None:
    assert code_hash() == code_hash(["models", "features"]) != code_hash(["models"])
    with pytest.raises(ValueError, match="must have sources"):
        code_hash(["nowhere"])


def test_importing_the_models_loads_nothing_heavy() -> None:
    program = (
        "import sys, models.card, models.plots, models.prediction, models.fast_prediction;"
        "print([m for m in ('lightgbm', 'optuna', 'sklearn', 'scipy.stats', 'matplotlib')"
        " if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
