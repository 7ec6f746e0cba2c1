"""Settings of the trader: which market it sees, what decides, and where orders go."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from swarm_core.contract_ends import EndSettings, iso_day
from swarm_core.execution.schedules import ScheduleKind
from swarm_core.execution.working import CostAssumptions, WorkingSettings
from swarm_core.orders import OrderKind
from swarm_core.sizing_settings import ExitSettings


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplayFeed(_Part):
    """Recorded bars: of a file (CSV or Parquet), or of a home's clean bars."""

    kind: Literal["replay"]
    file: Path | None = None
    home: Path | None = None  # whose clean bars; this desk's own where neither is given
    start: date | None = None
    end: date | None = None  # included
    speed: float = Field(0.0, ge=0, le=10_000_000)  # times real time; 0 is as fast as it goes

    def holds(self, time_ns: int) -> bool:
        """Return whether a moment lies on the days from start to end."""
        day = datetime.fromtimestamp(time_ns // 10**9, UTC).date()
        return (self.start or day) <= day <= (self.end or day)


class IbFeed(_Part):
    """Live market data of Interactive Brokers: quotes, and bars of `bar_s` seconds (0: none)."""

    kind: Literal["ib"]
    host: str = "127.0.0.1"
    port: int = Field(4002, gt=0, lt=65_536)
    client_id: int = Field(12, ge=0, le=999)
    account: str = ""  # to be named where the gateway is of several accounts, or of a live one
    bar_s: int = Field(0, ge=0, le=86_400, multiple_of=5)
    repeat_s: float = Field(5.0, ge=0.1, le=600)
    answer_s_max: float = Field(10.0, ge=0.1, le=120)


class TargetsEngine(_Part):
    """Target weights that a person writes into a file."""

    kind: Literal["targets"]
    file: Path


class ColonyEngine(_Part):
    """The colony, once per session, on the features and forecasts of a home's tables."""

    kind: Literal["colony"]
    home: Path | None = None  # whose tables; this desk's own where unset


class SimulatedVenue(_Part):
    """Orders are filled on paper from the feed's bars."""

    kind: Literal["simulated"]


class IbVenue(_Part):
    """TWS or IB Gateway; a live account must be named as such."""

    kind: Literal["ib_paper", "ib_live"]
    host: str = "127.0.0.1"
    port: int = Field(4002, gt=0, lt=65_536)
    client_id: int = Field(11, ge=0, le=999)
    account: str = ""
    answer_s_max: float = Field(10.0, ge=0.1, le=120)
    asks_for_margin: bool = True  # a what-if before each order; one more question to the gateway

    @model_validator(mode="after")
    def _a_live_account_is_named(self) -> "IbVenue":
        if self.kind == "ib_live" and not self.account:
            raise ValueError("account must name the live account to trade, was ''")
        return self


class Watch(_Part):
    """How the trader watches its market, its broker and itself; seconds."""

    heartbeat_s: float = Field(0.25, ge=0.001, le=60)
    feed_silence_s_max: float = Field(30.0, ge=0.01, le=86_400)
    data_age_s_max: float = Field(60.0, ge=0.01, le=604_800)
    reconcile_every_s: float = Field(300.0, ge=0.1, le=86_400)
    retire_after_s: float = Field(3_600.0, ge=1, le=604_800)


class Costs(_Part):
    """What orders are expected to meet; fills correct the impact."""

    half_spread_bps: float = 1.0
    impact_bps: float = 10.0
    volatility_bps: float = 150.0
    risk_aversion: float = 1e-6
    day_minutes: float = 390.0

    @model_validator(mode="after")
    def _within_bounds(self) -> "Costs":
        self.to_core()
        return self

    def to_core(self) -> CostAssumptions:
        return CostAssumptions(**self.model_dump())


class Working(_Part):
    """How decisions are spread over time: sliced evenly, by volume, front-loaded, or by cost."""

    kind: Literal["none", "auto", "at_once", "twap", "vwap", "pov", "almgren_chriss"]
    slices: int = Field(6, ge=1, le=1_000)
    minutes: float = Field(60.0, gt=0, le=10_080)
    participation: float = Field(0.1, gt=0, le=1)
    kappa: float = Field(0.5, ge=0, le=100)
    volume_profile: tuple[float, ...] = ()
    costs: Costs = Costs()

    def to_core(self) -> WorkingSettings | None:
        """Return the settings as the core takes them, None where orders leave whole."""
        fixed = None if self.kind in ("none", "auto") else ScheduleKind(self.kind)
        costs = self.costs.to_core()
        settings = WorkingSettings(**{**self.model_dump(), "kind": fixed, "costs": costs})
        return None if self.kind == "none" else settings

    @model_validator(mode="after")
    def _parts_fit(self) -> "Working":
        self.to_core()
        return self


class Exits(_Part):
    """How far from the price at the decision a position is closed by itself, as fractions."""

    take_profit: float = Field(gt=0, lt=1)
    stop_loss: float = Field(gt=0, lt=1)

    def to_core(self) -> ExitSettings:
        return ExitSettings(
            take_profit_fraction=self.take_profit, stop_loss_fraction=self.stop_loss
        )


class ContractNames(_Part):
    """What an instrument's id does not say of its contract at Interactive Brokers."""

    symbol: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    last_trade_date: str = Field("", pattern=r"^(\d{6}|\d{8})?$")  # futures and options
    strike: float = Field(0.0, ge=0)
    right: Literal["", "C", "P"] = ""
    multiplier: str = ""
    trading_class: str = ""
    con_id: int = Field(0, ge=0)


class ContractEnd(_Part):
    """What is done with a contract as its last trading day comes near, in sessions before it."""

    warn_sessions: int = Field(5, ge=0, le=250)
    reduce_sessions: int = Field(2, ge=0, le=250)
    act_sessions: int = Field(1, ge=0, le=250)
    then: Literal["nothing", "close", "roll"] = "nothing"
    into: dict[str, str] = {}  # the contract that each is rolled into
    asset_classes: tuple[Literal["future", "option"], ...] = ("future", "option")

    def to_core(self) -> EndSettings:
        return EndSettings(**self.model_dump())

    @model_validator(mode="after")
    def _parts_fit(self) -> "ContractEnd":
        self.to_core()
        if self.then == "roll" and not self.into:
            raise ValueError("into must name the next contract of each to roll, was empty")
        return self


class Account(_Part):
    """What reconciliation may take as it is."""

    adopt_foreign: bool = False
    cash_tolerance: float = Field(0.0, ge=0, le=1_000_000)  # units of each currency
    settlement_fraction: float = Field(0.05, ge=0, le=1)  # of the futures held, from their marks
    estimate_fraction: float = Field(0.1, ge=0, le=1)  # of what actions owe at their last marks
    withheld_fraction: float = Field(0.0, ge=0, lt=1)  # of dividends, by the tax at their source
    cash_lag_s: float = Field(200.0, ge=0, le=3_600)  # TWS tells its cash every three minutes
    position_lag_s: float = Field(10.0, ge=0, le=60)  # meanwhile nothing is released
    rate_age_s_max: float = Field(3_600.0, ge=60, le=604_800)  # of a rate that it tells no more


class TradeSettings(_Part):
    """The whole of `trade:` in a desk's configuration."""

    feed: ReplayFeed | IbFeed = Field(discriminator="kind")
    engine: TargetsEngine | ColonyEngine = Field(discriminator="kind")
    broker: SimulatedVenue | IbVenue = Field(discriminator="kind")
    instruments: tuple[dict[str, Any], ...] = ()  # of the instruments table where none is given
    contracts: dict[str, ContractNames] = {}  # by instrument: futures and options need theirs
    contract_end: ContractEnd = ContractEnd(
        warn_sessions=5, reduce_sessions=2, act_sessions=1, then="nothing"
    )
    only: tuple[str, ...] = ()  # of those, only these; all where none is named
    order_kind: Literal["market", "market_on_open", "market_on_close"] = "market_on_open"
    dust_fraction: float = Field(0.0005, ge=0, le=1)
    working: Working | None = None  # orders leave at once where unset
    exits: Exits | None = None  # a take-profit and a stop beside every position
    actions: Path | None = None  # a file of corporate actions; of the home's tables where unset
    located: tuple[str, ...] = ()  # instruments with a confirmed borrow
    control_port: int = Field(0, ge=0, lt=65_536)  # on the loopback; 0 takes a free one
    watch: Watch = Watch(
        heartbeat_s=0.25,
        feed_silence_s_max=30.0,
        data_age_s_max=60.0,
        reconcile_every_s=300.0,
        retire_after_s=3_600.0,
    )
    account: Account = Account(
        adopt_foreign=False,
        cash_tolerance=0.0,
        settlement_fraction=0.05,
        estimate_fraction=0.1,
        withheld_fraction=0.0,
        cash_lag_s=200.0,
        position_lag_s=10.0,
        rate_age_s_max=3_600.0,
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> "TradeSettings":
        bar_s = self.feed.bar_s if isinstance(self.feed, IbFeed) else None
        if isinstance(self.broker, SimulatedVenue) and bar_s == 0:
            raise ValueError("feed.bar_s must be given to fill orders on paper, was 0")
        if self.exits is not None and self.works_in_slices is not None:
            raise ValueError("exits must be asked for without working, were asked for with it")
        if isinstance(self.broker, IbVenue) and isinstance(self.feed, ReplayFeed):
            live = self.broker.kind == "ib_live"
            if live or not self.feed.speed:
                raise ValueError(
                    "a replay must go to a simulated broker, or paced to a paper account, "
                    f"was {self.broker.kind} at speed {self.feed.speed}"
                )
        return self

    def last_days(self) -> dict[str, str]:
        """Return by contract the last trading day (ISO date) where `contracts` tells one."""
        told = {name: iso_day(names.last_trade_date) for name, names in self.contracts.items()}
        return {name: day for name, day in told.items() if day is not None}

    def beside(self, folder: Path, root: Path) -> "TradeSettings":
        """Return the settings with files taken beside the configuration, homes below `root`."""
        places = {"file": folder, "home": root}
        parts = {
            name: part.model_copy(
                update={
                    field: (place / value).resolve()
                    for field, place in places.items()
                    if (value := getattr(part, field, None)) is not None
                }
            )
            for name, part in (("feed", self.feed), ("engine", self.engine))
        }
        actions = None if self.actions is None else (folder / self.actions).resolve()
        return self.model_copy(update={**parts, "actions": actions})

    @property
    def works_in_slices(self) -> WorkingSettings | None:
        """Return how decisions are worked, None where their orders leave whole."""
        return None if self.working is None else self.working.to_core()

    @property
    def tables_home(self) -> Path | None:
        """Return whose tables name the instruments; None: the desk's own."""
        asked = (getattr(self.engine, "home", None), getattr(self.feed, "home", None))
        return next((home for home in asked if home is not None), None)

    @property
    def strategy(self) -> str:
        """Return the name under which orders are limited and told."""
        return self.engine.kind

    def decision_lag(self, scheduled: timedelta) -> timedelta:
        """Return how long after a bar's close is decided: the colony waits for its data."""
        return scheduled if isinstance(self.engine, ColonyEngine) else timedelta(0)

    @property
    def kind(self) -> OrderKind:
        return OrderKind(self.order_kind)
