"""What the simulator lists by itself: shares, funds, currencies, coins, futures, options."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from zlib import crc32

from gateway_simulator.listings import Listing

_ROUTES = ("SMART", "NASDAQ", "NYSE", "ARCA", "BATS", "IEX")
# Symbol, contract id, primary exchange, name, start price, and ETF or COMMON.
_SHARES = (
    ("AAPL", 265598, "NASDAQ", "APPLE INC", 190, "COMMON"),
    ("MSFT", 272093, "NASDAQ", "MICROSOFT CORP", 420, "COMMON"),
    ("META", 107113386, "NASDAQ", "META PLATFORMS INC-CLASS A", 500, "COMMON"),
    ("AMZN", 3691937, "NASDAQ", "AMAZON.COM INC", 180, "COMMON"),
    ("NVDA", 4815747, "NASDAQ", "NVIDIA CORP", 120, "COMMON"),
    ("TSLA", 76792991, "NASDAQ", "TESLA INC", 240, "COMMON"),
    ("IBM", 8314, "NYSE", "INTL BUSINESS MACHINES CORP", 190, "COMMON"),
    ("JPM", 1520593, "NYSE", "JPMORGAN CHASE & CO", 200, "COMMON"),
    ("SHEL", 542389700, "NYSE", "SHELL PLC-ADR", 70, "ADR"),
    ("SPY", 756733, "ARCA", "SPDR S&P 500 ETF TRUST", 550, "ETF"),
    ("QQQ", 320227571, "NASDAQ", "INVESCO QQQ TRUST SERIES 1", 480, "ETF"),
    ("IWM", 9579970, "ARCA", "ISHARES RUSSELL 2000 ETF", 210, "ETF"),
    ("TLT", 15547841, "NASDAQ", "ISHARES 20+ YEAR TREASURY BD", 95, "ETF"),
    ("GLD", 51529211, "ARCA", "SPDR GOLD SHARES", 230, "ETF"),
)
_PAIRS = (
    ("EUR", "USD", 12087792, "1.08", "0.00005"),
    ("GBP", "USD", 12087797, "1.27", "0.00005"),
    ("USD", "JPY", 15016059, "150.00", "0.005"),
    ("USD", "CHF", 12087820, "0.89", "0.00005"),
    ("AUD", "USD", 14433401, "0.66", "0.00005"),
    ("EUR", "GBP", 12087807, "0.85", "0.00005"),
)
_COINS = (("BTC", 479624278, 60000, "0.25"), ("ETH", 495759171, 3000, "0.01"))
_INDICES = (
    ("SPX", 416904, "CBOE", "S&P 500 Stock Index", 5500, "USD"),
    ("NDX", 416843, "NASDAQ", "NASDAQ 100 Stock Index", 19000, "USD"),
    ("VIX", 13455763, "CBOE", "CBOE Volatility Index", 16, "USD"),
    ("DAX", 825711, "EUREX", "DAX Performance Index", 18500, "EUR"),
)
# CFDs on indices: symbol, name, the index that it follows, its contract id.
_INDEX_CFDS = (
    ("IBUS500", "IBKR US 500", "SPX", 416904, "USD"),
    ("IBDE40", "IBKR Germany 40", "DAX", 825711, "EUR"),
)
# Root, exchange, multiplier, step, start price, months between two ends, name, underlying index.
_FUTURES = (
    ("ES", "CME", "50", "0.25", 5500, 3, "E-mini S&P 500", 416904, "SPX"),
    ("MES", "CME", "5", "0.25", 5500, 3, "Micro E-Mini S&P 500", 416904, "SPX"),
    ("NQ", "CME", "20", "0.25", 19000, 3, "E-mini NASDAQ 100", 416843, "NDX"),
    ("CL", "NYMEX", "1000", "0.01", 75, 1, "Light Sweet Crude Oil", 0, "CL"),
    ("GC", "COMEX", "100", "0.1", 2400, 2, "Gold", 0, "GC"),
)
_OPTIONABLE = ("AAPL", "SPY")
_MONTH_CODES = "FGHJKMNQUVXZ"
_STRIKES_EACH_SIDE = 16


def number_of(text: str) -> int:
    """Return a contract id that is always the same for one name, above those of real ones."""
    return 800_000_000 + crc32(text.encode()) % 100_000_000


def share(
    symbol: str,
    con_id: int = 0,
    primary: str = "NASDAQ",
    name: str = "",
    price: Decimal | int = 100,
    kind: str = "COMMON",
    currency: str = "USD",
) -> Listing:
    """Return a share or a fund as it is listed."""
    return Listing(
        con_id=con_id or number_of(f"STK {symbol} {currency} {primary}"),
        symbol=symbol,
        sec_type="STK",
        currency=currency,
        primary_exchange=primary,
        exchanges=(*_ROUTES, "LSE", "AEB") if currency != "USD" else _ROUTES,
        local_symbol=symbol,
        trading_class={"NASDAQ": "NMS", "ARCA": "P"}.get(primary, symbol),
        long_name=name or symbol,
        stock_type=kind,
        industry="Funds" if kind == "ETF" else "Technology",
        category="Equity Fund" if kind == "ETF" else "Computers",
        start_price=Decimal(price),
        volatility=0.16 if kind == "ETF" else 0.3,
    )


def default_listings(today: date) -> list[Listing]:
    """Return all that is listed on a day; futures and options end after it."""
    shares = [share(*row) for row in _SHARES]
    # One symbol in three currencies: who does not say which gets three answers.
    shares += [share("SHEL", 500000001, "LSE", "SHELL PLC", 28, "COMMON", "GBP")]
    shares += [share("SHEL", 500000002, "AEB", "SHELL PLC", 32, "COMMON", "EUR")]
    listed = [*shares, *_currencies(), *_coins(), *_indices(), *_futures(today), *_cfds(shares)]
    for underlying in shares:
        if underlying.symbol in _OPTIONABLE:
            listed += options(underlying, today)
    return listed


def _currencies() -> Iterator[Listing]:
    for base, quote, con_id, price, step in _PAIRS:
        yield Listing(
            con_id=con_id,
            symbol=base,
            sec_type="CASH",
            currency=quote,
            exchange="IDEALPRO",
            exchanges=("IDEALPRO",),
            local_symbol=f"{base}.{quote}",
            trading_class=f"{base}.{quote}",
            min_tick=Decimal(step),
            long_name=f"{base}/{quote}",
            start_price=Decimal(price),
            volatility=0.08,
        )


def _coins() -> Iterator[Listing]:
    for coin, con_id, price, step in _COINS:
        yield Listing(
            con_id=con_id,
            symbol=coin,
            sec_type="CRYPTO",
            exchange="PAXOS",
            exchanges=("PAXOS", "ZEROHASH"),
            local_symbol=f"{coin}.USD",
            trading_class=coin,
            min_tick=Decimal(step),
            size_step=Decimal("0.00000001"),
            long_name=coin,
            start_price=Decimal(price),
            volatility=0.6,
        )


def _indices() -> Iterator[Listing]:
    for symbol, con_id, exchange, name, price, currency in _INDICES:
        yield Listing(
            con_id=con_id,
            symbol=symbol,
            sec_type="IND",
            currency=currency,
            exchange=exchange,
            exchanges=(exchange,),
            local_symbol=symbol,
            trading_class=symbol,
            long_name=name,
            start_price=Decimal(price),
            volatility=0.16,
        )


def _cfds(shares: list[Listing]) -> Iterator[Listing]:
    for stock in shares:
        if stock.symbol in ("AAPL", "MSFT", "IBM"):
            yield Listing(
                con_id=number_of(f"CFD {stock.symbol}"),
                symbol=stock.symbol,
                sec_type="CFD",
                exchanges=("SMART",),
                local_symbol=f"{stock.symbol}n",
                trading_class=f"{stock.symbol}n",
                long_name=stock.long_name,
                under_con_id=stock.con_id,
                under_symbol=stock.symbol,
                under_sec_type="STK",
                start_price=stock.start_price,
            )
    for symbol, name, under, under_con_id, currency in _INDEX_CFDS:
        yield Listing(
            con_id=number_of(f"CFD {symbol}"),
            symbol=symbol,
            sec_type="CFD",
            currency=currency,
            exchanges=("SMART",),
            local_symbol=symbol,
            trading_class=symbol,
            long_name=name,
            under_con_id=under_con_id,
            under_symbol=under,
            under_sec_type="IND",
        )


def _futures(today: date) -> Iterator[Listing]:
    for root, exchange, unit, step, price, months, name, under, under_symbol in _FUTURES:
        for end in _ends(today, months, count=4):
            local = f"{root}{_MONTH_CODES[end.month - 1]}{end.year % 10}"
            yield Listing(
                con_id=number_of(f"FUT {root} {end}"),
                symbol=root,
                sec_type="FUT",
                exchange=exchange,
                exchanges=(exchange,),
                local_symbol=local,
                trading_class=root,
                last_trade_date=end.strftime("%Y%m%d"),
                multiplier=unit,
                min_tick=Decimal(step),
                long_name=name,
                under_con_id=under,
                under_symbol=under_symbol,
                under_sec_type="IND",
                start_price=Decimal(price),
                volatility=0.2,
            )


def _ends(today: date, months: int, *, count: int) -> list[date]:
    ends: list[date] = []
    year, month = today.year, today.month
    while len(ends) < count:
        if month % months == 0 and third_friday(year, month) > today:
            ends.append(third_friday(year, month))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return ends


def third_friday(year: int, month: int) -> date:
    """Return the day on which most contracts of a month end."""
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def options(underlying: Listing, today: date) -> Iterator[Listing]:
    """Yield calls and puts on a share: four months and two Decembers, strikes around its start.

    Those that run for years stand further apart, and further out.
    """
    step = 5 if underlying.start_price < 400 else 10
    near, far = _ends(today, 1, count=4), _ends(today, 12, count=3)[1:]
    grids = [(end, step) for end in near] + [(end, 3 * step) for end in far if end not in near]
    for end, apart in grids:
        middle = int(underlying.start_price) // apart * apart
        each_side = min(_STRIKES_EACH_SIDE, middle // apart - 1)
        for offset in range(-each_side, each_side + 1):
            strike = middle + offset * apart
            for right in "CP":
                day = end.strftime("%Y%m%d")
                local = f"{underlying.symbol:<6}{day[2:]}{right}{strike * 1000:08d}"
                yield Listing(
                    con_id=number_of(f"OPT {local}"),
                    symbol=underlying.symbol,
                    sec_type="OPT",
                    exchanges=("SMART", "CBOE", "AMEX", "ISE"),
                    local_symbol=local,
                    trading_class=underlying.symbol,
                    last_trade_date=day,
                    strike=Decimal(strike),
                    right=right,
                    multiplier="100",
                    long_name=underlying.long_name,
                    under_con_id=underlying.con_id,
                    under_symbol=underlying.symbol,
                    under_sec_type="STK",
                    start_price=Decimal(1),
                    volatility=underlying.volatility,
                )
