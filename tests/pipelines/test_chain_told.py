"""What a running chain tells: what passes by, and what is to be seen afterwards."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.chain import Chain


@pytest.mark.parametrize(
    ("level", "told", "warned"),
    [
        (logging.INFO, ["a line"], []),
        (logging.WARNING, [], ["a line"]),
        (logging.ERROR, ["a line"], []),  # Dagster's, of steps that did not run
    ],
)
def test_warnings_of_assets_stay_and_the_rest_passes_by(
    level: int, told: list[str], warned: list[str]
) -> None:
    passing: list[str] = []
    staying: list[str] = []
    nothing: Any = None
    chain = Chain(nothing, nothing, nothing, passing.append, lambda *_: None, staying.append)
    chain._on_event(SimpleNamespace(dagster_event=None, level=level, user_message="a line"))
    assert (passing, staying) == (told, warned)
