"""Where the real data sets lie for tests, and how a test says that they are absent."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"

needs_shared_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the shared data sets are not at {SHARED}"
)
