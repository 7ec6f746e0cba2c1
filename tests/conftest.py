"""What holds for every test: those that talk to S3-compatible storage are run on their own."""

from functools import cache
from pathlib import Path

import pytest

_TALKS_TO_S3 = ("s3_server", "S3Process", "tier_faults")


@cache
def _talks_to_s3(path: Path) -> bool:
    text = path.read_text()
    return any(word in text for word in _TALKS_TO_S3)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose clients leave threads behind that read the environment.

    The storage clients' threads outlive a server that went away. They read variables while
    another test sets them, and the C library answers that with a crash of the process.
    """
    for item in items:
        if _talks_to_s3(item.path):
            item.add_marker(pytest.mark.s3)
