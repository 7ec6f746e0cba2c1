"""Which meaning a column has, by its name in any of the languages that vendors write."""

import re
import unicodedata
from collections.abc import Sequence

import polars as pl

from adapters.sources.header_units import bare_columns


def plain_name(column: str) -> str:
    """Return a column's name in small letters without accents: Eröffnung is eroffnung."""
    letters = unicodedata.normalize("NFKD", column.strip().lower())
    bare = "".join(c for c in letters if not unicodedata.combining(c))
    return re.sub(r"\W+", "_", bare).strip("_")


OBSERVED = "obs_value"  # as the exchange of statistics (SDMX) heads its values
_AS_WRITTEN: dict[str, tuple[str, ...]] = {
    "time": ("timeopen", "time_open", "datetime", "timestamp", "date", "time", "ts", "day",
             "trade_date", "tradedate",
             "trading_day", "datum", "fecha", "data", "handelstag", "period",
             "month", "week", "dt", "ex_date", "exdate", "ex_dividend_date",
             "published", "published_at", "published_utc", "created_at", "created", "open_time",
             "opentime", "begin", "dates", "dtyyyymmdd",
             "traddt", "date1", "ts_event", "window_start",
             "observation_date", "obs_date", "reference_date", "ref_date", "period_end",
             "time_period", "period_start_date", "period_start", "period_end_date",
             "ts_utc", "time_utc", "timestamp_utc", "datetime_utc", "date_utc", "gmt_time",
             "日付", "日時", "日期", "交易日期", "取引日", "交易日", "дата",
             "data_pregao", "时间", "날짜", "dato", "tarih",
             "local_time", "ts_local", "ts_new_york", "ts_london", "ts_tokyo", "t",
             "dlycaldt"),
    "symbol": ("permno", "symbol", "ticker", "sym", "instrument", "mnemonic", "tckrsymb", "isin",
               "ric", "security", "code",
               "tidm", "epic", "s",
               "product", "product_id", "銘柄コード", "代码", "股票代码", "종목코드",
             "kurzel", "simbolo", "symbole", "pair", "market_symbol", "coin", "contract"),
    "exchange": ("exchange", "mic", "venue", "market", "listing"),
    "open": ("open", "o", "mid_o", "open_price", "px_open", "opening_price", "startprice",
             "opnpric",
             "始値", "开盘", "开盘价", "開盤", "開盤價", "시가",
             "oppen", "oppningskurs", "oppning", "открытие", "apning", "openen", "otwarcie",
             "eroffnung", "eroffnungskurs", "erster", "apertura", "ouverture", "abertura",
             "openprc", "dlyopen"),
    "high": ("high", "h", "mid_h", "high_price", "px_high", "maxprice", "hghpric",
             "高値", "最高値", "最高", "最高价", "最高價", "고가",
             "hogst", "hogsta", "høy", "høj", "hoog", "najwyzszy",
             "hoch", "tageshoch", "hochstkurs", "hochst", "maxima", "максимум", "maximo", "max",
             "plus_haut", "massimo", "alto",
             "askhi", "dlyhigh"),
    "low": ("low", "l", "mid_l", "low_price", "px_low", "minprice", "lwpric",
            "安値", "最安値", "最低", "最低价", "最低價", "저가",
            "lagst", "lagsta", "lav", "laag", "najnizszy",
            "tief", "tagestief", "tiefstkurs", "tiefst", "minima", "минимум", "minimo", "min",
            "plus_bas", "basso", "bajo", "baixo",
             "bidlo", "dlylow"),
    "close": ("close", "c", "mid_c", "close_price", "px_last", "closing_price", "close_last",
              "endprice",
              "clspric", "last", "settle", "settlement",
              "終値", "закрытие", "закр", "slot", "收盘", "收盘价", "收盤", "收盤價", "종가",
              "stangning", "stangningskurs", "slutkurs", "slutt", "slotkoers", "zamkniecie",
              "schluss", "schlusskurs", "schlussstand", "cierre", "cloture", "chiusura",
              "fechamento",
             "prc", "dlyprc"),
    "adj_close": ("adj_close", "adjclose", "adjusted_close", "close_adj", "close_adjusted",
                  "adj_close_price", "調整後終値"),
    "volume": ("volume", "v", "vol", "qty_traded", "shares", "tradedvolume", "tottrdqty",
               "shares_traded",
               "ttl_trd_qnty", "ttltradgvol", "stucke", "stuecke",
               "出来高", "成交股數", "成交股数", "объем", "omzet", "volymer",
               "成交量", "거래량", "volym", "volum", "wolumen",
               "volumen", "stuck", "umsatz", "volumes", "vol_", "tickvol", "tick_volume", "dlyvol"),
    "bid": ("bid", "bid_price", "bid_close", "bid_c", "bidclose", "dlybid"),
    "ask": ("ask", "ask_price", "offer", "ask_close", "ask_c", "askclose", "dlyask"),
    **{f"{side}_{price}": (f"{side}_{price}", f"{side}_{price[0]}", f"{side}{price}")
       for side in ("bid", "ask") for price in ("open", "high", "low")},
    "bid_size": ("bid_size", "bidsize", "bid_qty"),
    "ask_size": ("ask_size", "asksize", "ask_qty"),
    "complete": ("complete", "is_complete"),  # false of a bar that is not over
    "headline": ("headline", "title", "text", "news"),
    "body": ("body", "description", "summary", "content"),
    "series_id": ("series_id", "series", "indicator", "variable"),
    "value": ("value", OBSERVED, "rate", "yield", "level", "index"),
    "price": ("price", "trade_price", "px"),
    "size": ("size", "quantity", "qty", "amount"),
    "split_ratio": ("split_ratio", "splitratio", "split_factor", "splitfactor",
                    "split_coefficient", "stock_splits", "stock_split", "split", "splits"),
    "dividend": ("dividend", "dividends", "dividend_amount", "cash_dividend", "cash_amount",
                 "divcash", "div_cash", "ex_dividend"),
    "currency": ("currency", "ccy", "wahrung", "waehrung", "devise", "moneda", "valuta"),
}  # fmt: skip
NAMES = {m: tuple(map(plain_name, names)) for m, names in _AS_WRITTEN.items()}


# Words of a name that say nothing of what the column is beside open, high, low, close and volume.
_FILLERS = frozenset({"px", "price", "prc"})
_TIME_WORDS = frozenset({"date", "day", "datetime", "timestamp"})
_WITH_UNITS = ("open", "high", "low", "close", "adj_close", "volume", "bid", "ask", "dividend")
# Of these the letters o, h, l, c are; alone a capital is a ticker: C is Citigroup, V is Visa.
_LETTERS_MIN = 3
# When a row was made public: beside the time that it tells of, two versions of a bar may differ.
_KNOWN = ("knowledge_time", "known_at", "published_at", "published_utc", "published_time",
          "publication_time", "available_at", "released_at", "release_time", "revised_at",
          "revision_time", "release_date", "publication_date", "published_date", "vintage_date",
          "vintage", "realtime_start", "realtime_start_date")  # fmt: skip


def known_columns(rows: pl.DataFrame) -> dict[str, str]:
    """Return which column bears which meaning, by its name."""
    plain = {plain_name(name): c for name, c in bare_columns(rows.columns).items()}
    plain = {n: c for n, c in plain.items() if any(n in NAMES[m] for m in _WITH_UNITS)}
    plain |= {plain_name(c): c for c in rows.columns}
    if len({"o", "h", "l", "c"} & plain.keys()) < _LETTERS_MIN:
        tickers = {name for name, c in plain.items() if len(c) == 1 and c.isupper()}
        plain = {name: c for name, c in plain.items() if name not in tickers - {"t"}}
    found = {
        meaning: next(plain[name] for name in names if name in plain)
        for meaning, names in NAMES.items()
        if any(name in plain for name in names)
    }
    found = {**_by_words(rows, set(found.values())), **found}
    found |= _volume_that_counts(rows, [plain[n] for n in NAMES["volume"] if n in plain])
    days = [c for n in ("date", "day") if (c := plain.get(n)) is not None]
    clocks = [c for n in ("time", "hour", "time_of_day") if (c := plain.get(n)) is not None]
    if days and clocks:  # the moment is written in two columns
        found |= {"time": days[0], "clock": clocks[0]}
    if "close" not in found and {"open", "high", "low", "price"} <= found.keys():
        found["close"] = found.pop("price")  # beside the other three it is the last one
    if "time" not in found:  # one column whose type says it, or a nameless index column
        dated = [c for c, dtype in rows.schema.items() if dtype.is_temporal()]
        unnamed = [c for c in rows.columns if c in {"unnamed_0", "Unnamed: 0", "index"}]
        named = [c for c in rows.columns if _TIME_WORDS & set(_words(c))]
        for group in (dated, unnamed, named):
            if len(group) == 1:
                return {"time": group[0], **found}
    return found


def _volume_that_counts(rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Return the first of several columns of volume that is not all zeros, if there is one.

    MetaTrader writes the volume of exchanges beside that of ticks, and zeros where it has none.
    """
    for column in columns if len(columns) > 1 else ():
        if (rows[column].cast(pl.Float64, strict=False).fill_null(0) != 0).any():
            return {"volume": column}
    return {}


def known_column(rows: pl.DataFrame, time: str) -> str | None:
    """Return the column that says when a row was made public, where it is not the row's time."""
    plain = {"_".join(_words(c)): c for c in rows.columns if c != time}
    return next((plain[name] for name in _KNOWN if name in plain), None)


def _by_words(rows: pl.DataFrame, taken: set[str]) -> dict[str, str]:
    """Return the columns of bars that a word beside fillers names, as in PxOpen and Close Px."""
    found: dict[str, list[str]] = {}
    for column in rows.columns:
        words = [w for w in _words(column) if w not in _FILLERS]
        for meaning in ("open", "high", "low", "close", "volume"):
            if column not in taken and len(words) == 1 and words[0] in NAMES[meaning]:
                found.setdefault(meaning, []).append(column)
    wanted = {meaning: columns[0] for meaning, columns in found.items() if len(columns) == 1}
    return wanted if any(_FILLERS & set(_words(c)) for c in wanted.values()) else {}


def _words(column: str) -> list[str]:
    """Return the words of a name: TradingDay and trading_day are trading, day."""
    return plain_name(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.strip())).split("_")


# What a column's name says of the zone of its stamps.
_ZONES = {
    "utc": "UTC", "gmt": "UTC", "new_york": "America/New_York", "chicago": "America/Chicago",
    "london": "Europe/London", "berlin": "Europe/Berlin", "frankfurt": "Europe/Berlin",
    "paris": "Europe/Paris", "zurich": "Europe/Zurich", "tokyo": "Asia/Tokyo",
    "hong_kong": "Asia/Hong_Kong", "sydney": "Australia/Sydney",
}  # fmt: skip


def zone_in_name(column: str) -> str | None:
    """Return the zone that a column's name speaks of: ts_utc, Gmt time, ts_new_york."""
    name = plain_name(column)
    found = (z for word, z in _ZONES.items() if re.search(rf"(?:^|_){word}(?:_|$)", name))
    return next(found, None)
