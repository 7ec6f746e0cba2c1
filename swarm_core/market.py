"""What the market shows of one instrument: quotes and bars on its integer grid."""

from dataclasses import dataclass

from swarm_core.instruments import LOTS_MAX, Instrument


def _lots(instrument: Instrument, volume: float | None) -> int | None:
    """Return a reported volume in lots, capped; None where none was reported."""
    if volume is None or volume != volume:  # a NaN volume is one that nobody reported
        return None
    if volume < 0:
        raise ValueError(f"volume of {instrument.instrument_id} must be >= 0, was {volume}")
    return min(LOTS_MAX, int(volume / float(instrument.size_increment)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The freshest reference of an instrument, as the risk gate sees it.

    `daily_volume_lots` is a typical day's volume, None where the venue reports none;
    `session_open` is None where nobody knows, and then nothing may be sent that needs to know.
    """

    instrument_id: str
    reference_ticks: int
    time_ns: int
    bid_ticks: int | None = None
    ask_ticks: int | None = None
    daily_volume_lots: int | None = None
    session_open: bool | None = None

    @classmethod
    def from_price(
        cls,
        instrument: Instrument,
        price: float,
        time_ns: int,
        *,
        daily_volume: float | None = None,
        session_open: bool | None = None,
    ) -> "Quote":
        """Return a quote whose reference is `price`; ValueError where it is no price."""
        return cls(
            instrument_id=instrument.instrument_id,
            reference_ticks=instrument.price_to_ticks(price),
            time_ns=time_ns,
            daily_volume_lots=_lots(instrument, daily_volume),
            session_open=session_open,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar in ticks and lots; open, high and low are None in a series of closes alone."""

    instrument_id: str
    time_ns: int  # the close of the bar
    close_ticks: int
    open_ticks: int | None = None
    high_ticks: int | None = None
    low_ticks: int | None = None
    volume_lots: int | None = None
    open_time_ns: int | None = None  # when the bar opened, where that is known
    band_low_ticks: int | None = None  # limit down: nobody buys at it, nothing trades below
    band_high_ticks: int | None = None  # limit up: nobody sells at it, nothing trades above
    is_halted: bool = False  # the venue had halted the instrument: nothing trades
    opens_session: bool = True  # it has the opening auction, as a bar of a whole session has
    closes_session: bool = True  # it has the closing auction

    def __post_init__(self) -> None:
        low, high = self.low_ticks, self.high_ticks
        if low is not None and high is not None and low > high:
            raise ValueError(
                f"low of {self.instrument_id} must be <= its high {high}, was {low} ticks"
            )

    @classmethod
    def from_prices(
        cls,
        instrument: Instrument,
        time_ns: int,
        close: float,
        *,
        open_: float | None = None,
        high: float | None = None,
        low: float | None = None,
        volume: float | None = None,
        open_time_ns: int | None = None,
    ) -> "Bar":
        """Return the bar on the instrument's grid; ValueError where a price is not finite."""

        def ticks(price: float | None) -> int | None:
            if price is None or price != price:  # NaN: not reported
                return None
            return instrument.price_to_ticks(price)

        return cls(
            instrument_id=instrument.instrument_id,
            time_ns=time_ns,
            close_ticks=instrument.price_to_ticks(close),
            open_ticks=ticks(open_),
            high_ticks=ticks(high),
            low_ticks=ticks(low),
            volume_lots=_lots(instrument, volume),
            open_time_ns=open_time_ns,
        )
