"""A broker of ours that is connected to a double of the gateway."""

from collections.abc import Iterator

import pytest

from adapters.brokers.ib import IbBroker
from tests.adapters.brokers.gateway_double import GatewayDouble
from tests.adapters.brokers.test_broker_contract import make_ib


@pytest.fixture
def gateway() -> GatewayDouble:
    return GatewayDouble()


@pytest.fixture
def broker(gateway: GatewayDouble) -> Iterator[IbBroker]:
    opened = make_ib(gateway)
    yield opened
    opened.close()
