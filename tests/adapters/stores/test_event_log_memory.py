"""The log in memory keeps the contract of every event log."""

from collections.abc import Callable

import pytest

from adapters.stores.event_log_memory import MemoryEventLog
from tests.adapters.stores.event_log_contract import CheckedLog, EventLogContract


class TestMemoryEventLog(EventLogContract):
    @pytest.fixture
    def open_log(self) -> Callable[[], CheckedLog]:
        log = MemoryEventLog()
        return lambda: log
