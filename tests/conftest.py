"""What holds for every test: S3-compatible storage on its own, long work spread and done first."""

import gc
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.spreading import Spreading, place_of

_TALKS_TO_S3 = ("s3_server", "S3Process", "tier_faults")


@cache
def _talks_to_s3(path: Path) -> bool:
    text = path.read_text()
    return any(word in text for word in _TALKS_TO_S3)


def pytest_configure() -> None:
    """Look for cycles seldom: what a compiler makes by the million lives, and is looked through.

    No drawn example has a time limit: on a busy machine any of them may wait a second for its turn.
    """
    gc.set_threshold(100_000, 20, 10)
    settings.register_profile("any machine", deadline=None)
    settings.load_profile("any machine")


def pytest_collection_finish() -> None:
    """Leave out of every later search what the modules and the tests themselves are made of."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose clients leave threads behind that read the environment; sort all.

    The storage clients' threads outlive a server that went away. They read variables while
    another test sets them, and the C library answers that with a crash of the process.
    """
    for item in items:
        if _talks_to_s3(item.path):
            item.add_marker(pytest.mark.s3)
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Spreading:
    """Give the workers whole files and groups, in the order of the items."""
    return Spreading(config, log)
