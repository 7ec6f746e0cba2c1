"""What one file says of itself, before anything is asked or answered."""

from dataclasses import dataclass
from typing import Literal, Protocol

from adapters.sources.action_drafts import MEASURE_OF
from adapters.sources.mapping import Csv, Format, Hours, TimeField, Unpivot
from adapters.sources.market_clues import Clue, clue_of
from adapters.sources.stamps import Stamps

TRADED = ("bars", "quotes", "trades")
_CLASS_CALENDAR = {"crypto": "24/7", "fx": "24/5", "future": "CMES"}


class Answers(Protocol):
    """What the user said of the files."""

    @property
    def zone(self) -> str | None: ...
    @property
    def currency(self) -> str | None: ...
    @property
    def calendar(self) -> str | None: ...
    @property
    def id_prefix(self) -> str | None: ...
    @property
    def asset_class(self) -> str | None: ...
    @property
    def hours(self) -> Hours | None: ...
    @property
    def published(self) -> str | None: ...
    @property
    def quotes(self) -> Literal["mid", "alone"] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What one file says of itself; `symbols` are pairs of a symbol and its exchange, if named."""

    relative: str
    table: str
    layout: Csv
    columns: dict[str, str]
    stamps: Stamps
    parts: tuple[str, ...]  # the columns that the time is written in
    unpivot: Unpivot | None
    symbols: list[tuple[str, str | None]]
    decimals: int = 2
    format: Format = "auto"
    volume_mark: str = ""  # between the thousands of its volumes, where prices have none
    negative_closes: bool = False  # of days without a trade, as CRSP marks the middle of quotes
    currency: str | None = None  # that its columns name beside what they are: Close (EUR)
    series: tuple[str, ...] = ()  # the columns that together name the series of a macro value
    not_null: tuple[str, ...] = ()  # tickers that read like an empty cell: NA
    known: TimeField | None = None  # when each row was made public, where a column says it

    @property
    def lists_actions(self) -> bool:
        """Whether bars carry their splits and payments in columns of their own."""
        measured = not self.columns.keys().isdisjoint(MEASURE_OF)
        return self.table == "bars" and self.unpivot is None and measured

    @property
    def lists_quotes(self) -> bool:
        """Whether bars carry the bid and the ask of their close in columns of their own."""
        return self.table == "bars" and {"bid", "ask"} <= self.columns.keys()

    @property
    def has_ranges(self) -> bool:
        """Whether quotes are bars of the bid and of the ask, each with its highs and lows."""
        return self.table == "quotes" and {"bid_high", "ask_high"} <= self.columns.keys()

    @property
    def is_named_by_file(self) -> bool:
        """Whether nothing but the file's name says which instrument it is of."""
        no_column = self.unpivot is None and "symbol" not in self.columns
        return self.table in (*TRADED, "corporate_actions") and no_column

    def clues(self, answers: Answers) -> dict[Clue, list[tuple[str, str | None]]]:
        """Return the symbols by what is known of their market, the user's word first."""
        groups: dict[Clue, list[tuple[str, str | None]]] = {}
        for symbol, exchange in self.symbols:
            found = clue_of(symbol, exchange)
            kind = answers.asset_class or found.asset_class
            calendar = answers.calendar or found.calendar or _CLASS_CALENDAR.get(kind)
            currency = answers.currency or self.currency or found.currency
            clue = Clue(calendar, currency, kind, found.multiplier)
            groups.setdefault(clue, []).append((symbol, exchange))
        return groups
