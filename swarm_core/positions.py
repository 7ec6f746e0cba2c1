"""One instrument's holding, in exact integers: what it cost, and what it has earned."""

from dataclasses import dataclass

from swarm_core.events import OrderFilled, TransferBooked


@dataclass(slots=True)
class Position:
    """One instrument's holding; money in minor units of `currency`.

    `cost_minor` is what the open lots cost (negative when short), at average cost.
    """

    currency: str
    lot_tick_minor: int
    mark_ticks: int
    lots: int = 0
    cost_minor: int = 0
    realised_minor: int = 0

    is_margined: bool = False  # its profit is paid each day, its price never was

    @property
    def value_minor(self) -> int:
        return self.lots * self.mark_ticks * self.lot_tick_minor

    @property
    def unrealised_minor(self) -> int:
        return self.value_minor - self.cost_minor

    @property
    def equity_minor(self) -> int:
        """What the position adds to the net asset value beside cash."""
        return self.unrealised_minor if self.is_margined else self.value_minor

    @property
    def paid_minor(self) -> int:
        """The part of its cost that cash was paid for."""
        return 0 if self.is_margined else self.cost_minor

    def trade(self, signed_lots: int, price_ticks: int) -> int:
        """Book a trade; return the profit that it realised."""
        return self.take(signed_lots, signed_lots * price_ticks * self.lot_tick_minor)

    def take(self, signed_lots: int, cost_minor: int) -> int:
        """Take in lots that cost so much: what they close realises profit at average cost.

        The rest opens. Returns the profit realised. The rounding of an average stays inside the
        books: what is released is exactly what remains less, so no minor unit appears or is lost.
        """
        realised = 0
        if self.lots * signed_lots < 0:
            closing = max(-abs(self.lots), min(abs(self.lots), signed_lots))
            released = self.cost_minor * -closing // self.lots
            spent = cost_minor * closing // signed_lots
            realised = -spent - released
            self.cost_minor += -released - spent
            self.realised_minor += realised
        self.cost_minor += cost_minor
        self.lots += signed_lots
        return realised

    def correct(self, signed_lots: int, more_minor: int) -> int:
        """Take in that lots which were traded cost so much more; return what of it is a loss.

        What is still held of them carries its part as cost.
        """
        held = self.lots if signed_lots > 0 else -self.lots
        left = max(0, min(abs(signed_lots), held))
        kept = more_minor * left // abs(signed_lots)
        self.cost_minor += kept
        self.realised_minor -= more_minor - kept
        return more_minor - kept

    def correct_fill(self, fill: OrderFilled, lots: int, price_ticks: int) -> tuple[int, int]:
        """Take in other lots at another price for a fill; return what more it costs and loses.

        Lots that it does not have after all leave, or come, for the difference in what is paid.
        """
        before, after = fill.side.sign * fill.lots, fill.side.sign * lots
        more = (after * price_ticks - before * fill.price_ticks) * fill.lot_tick_minor
        if after == before:
            return more, self.correct(before, more) if before else 0
        return more, -self.take(after - before, more)


def position_of(positions: dict[str, Position], fill: OrderFilled | TransferBooked) -> Position:
    """Return the position that an execution changes, opened without lots where there is none."""
    position = positions.get(fill.instrument_id)
    if position is None:
        position = positions[fill.instrument_id] = Position(
            fill.currency,
            fill.lot_tick_minor,
            fill.price_ticks,
            is_margined=fill.is_margined,
        )
    return position
