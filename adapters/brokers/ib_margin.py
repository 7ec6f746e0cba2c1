"""What an order would do to the account, as Interactive Brokers works it out before it is sent."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ib_async import OrderState

_UNSET = Decimal("1e300")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginImpact:
    """Margin and equity in the account's currency; None where the broker does not say."""

    initial_before: Decimal | None
    initial_after: Decimal | None
    maintenance_after: Decimal | None
    equity_after: Decimal | None
    commission: Decimal | None
    currency: str
    warning: str

    @property
    def is_covered(self) -> bool:
        """Return whether the equity carries the margin; what is not known is not covered."""
        if self.equity_after is None or self.initial_after is None:
            return False
        return self.equity_after >= self.initial_after


def margin_impact(state: OrderState) -> MarginImpact:
    """Return what a what-if answer says."""
    commissions = [
        amount
        for text in (state.commission, state.maxCommission)
        if (amount := _amount(text)) is not None
    ]
    return MarginImpact(
        initial_before=_amount(state.initMarginBefore),
        initial_after=_amount(state.initMarginAfter),
        maintenance_after=_amount(state.maintMarginAfter),
        equity_after=_amount(state.equityWithLoanAfter),
        commission=commissions[0] if commissions else None,
        currency=state.commissionCurrency,
        warning=state.warningText,
    )


def _amount(text: object) -> Decimal | None:
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < _UNSET else None
