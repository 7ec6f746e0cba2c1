"""Prices are in the currency of their instrument, or they are put aside."""

import pytest

from tests.features.validation.make import check_bars, make_bars, set_cells, stopped_rows


@pytest.mark.parametrize("currency", ["EUR", "GBP"])
def test_a_price_in_another_currency_is_put_aside(currency: str) -> None:
    rows = set_cells(make_bars(), [5, 200], currency=currency)
    assert stopped_rows(check_bars(rows), "unit_error") == {5, 200}


def test_a_price_that_tells_no_currency_is_the_instruments() -> None:
    assert not stopped_rows(check_bars(set_cells(make_bars(), [5], currency=None)), "unit_error")
    rows = set_cells(make_bars(), [5], currency="EUR")
    assert not stopped_rows(check_bars(rows, instruments=None), "unit_error")
