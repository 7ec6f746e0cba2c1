"""Five-second bars put together into longer ones."""

from dataclasses import dataclass

from swarm_core.instruments import Instrument
from swarm_core.market import Bar

PIECE_S = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """One five-second bar as it is told; `start_s` is its start, volume -1 where there is none."""

    start_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BarBuilder:
    """Puts pieces of one instrument together; a bar is told once its last second is over."""

    def __init__(self, instrument: Instrument, bar_s: int) -> None:
        if bar_s < PIECE_S or bar_s % PIECE_S:
            raise ValueError(f"bar_s must be a multiple of {PIECE_S}, was {bar_s}")
        self._instrument, self._bar_s = instrument, bar_s
        self._pieces: list[Piece] = []
        self._last_s: int | None = None  # when the newest piece began

    def add(self, piece: Piece) -> list[Bar]:
        """Take a piece in; return the bars that are complete by it. One told twice is left out."""
        done: list[Bar] = []
        if self._last_s is not None and piece.start_s <= self._last_s:
            return done
        self._last_s = piece.start_s
        if self._pieces and piece.start_s // self._bar_s != self._start_s // self._bar_s:
            done.append(self._close())  # its last pieces never came: it is told as it stands
        self._pieces.append(piece)
        if (piece.start_s + PIECE_S) % self._bar_s == 0:
            done.append(self._close())
        return done

    @property
    def _start_s(self) -> int:
        return self._pieces[0].start_s // self._bar_s * self._bar_s

    def _close(self) -> Bar:
        pieces, start_s = self._pieces, self._start_s
        self._pieces = []
        volumes = [piece.volume for piece in pieces if piece.volume >= 0]
        return Bar.from_prices(
            self._instrument,
            (start_s + self._bar_s) * 10**9,
            pieces[-1].close,
            open_=pieces[0].open,
            high=max(piece.high for piece in pieces),
            low=min(piece.low for piece in pieces),
            volume=sum(volumes) if volumes else None,
            open_time_ns=start_s * 10**9,
        )
