"""Everything that a strategy may name is imported and used once here, before the lockdown.

Afterwards nothing can be read from disk: a module first imported, a lazy submodule or a time zone file
first opened inside a runner fails. A module that is absent is no defence, so ctypes, mmap, socket are here.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import struct
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

STANDARD = """abc argparse array ast asyncio base64 binascii bisect builtins bz2 calendar cmath codecs
collections collections.abc colorsys concurrent.futures configparser contextlib contextvars copy copyreg csv
ctypes ctypes.util dataclasses datetime decimal difflib dis email.message encodings.ascii encodings.idna
encodings.latin_1 encodings.unicode_escape encodings.utf_16 encodings.utf_32 encodings.punycode enum errno
fcntl fnmatch fractions functools gc getpass getopt glob graphlib gzip hashlib heapq hmac html http.client
inspect io ipaddress itertools json keyword linecache locale logging logging.handlers lzma marshal math
mimetypes mmap multiprocessing multiprocessing.pool multiprocessing.popen_fork multiprocessing.connection
numbers operator opcode os os.path pathlib pickle pickletools pkgutil platform posixpath pprint queue random
re resource runpy sched secrets select selectors shelve shlex shutil signal socket sqlite3 ssl stat statistics
string stringprep struct subprocess symtable sys sysconfig tempfile textwrap threading time timeit token
tokenize traceback types typing unicodedata unittest.mock urllib.parse urllib.request uuid warnings weakref
xml.etree.ElementTree zipfile zlib zoneinfo zoneinfo._zoneinfo _strptime _pydatetime _pydecimal"""

THIRD_PARTY = """numpy numpy.fft numpy.linalg numpy.ma numpy.polynomial numpy.random numpy.testing pandas
pandas.tseries.offsets pandas.tseries.frequencies pandas.tseries.holiday pandas.api.types pandas.testing
dateutil.parser dateutil.relativedelta dateutil.tz ta ta.momentum ta.others ta.trend ta.volatility ta.volume
msgspec"""

OURS = """inalpha inalpha.model.bar inalpha.model.instrument inalpha.model.money inalpha.model.order
inalpha.model.step inalpha.strategy inalpha.strategy.loader inalpha.strategy.driver
inalpha.strategy.causality"""

# pandas takes these up where they happen to be installed. A figure must not hang on that, and libarrow alone
# is 30 MiB that fifty runners would share; a strategy that asks for one is told that it is absent.
UNWANTED = "pyarrow numexpr bottleneck numba"

# Held for the life of the process: both kinds of zone cache only weakly.
_zones: list[object] = []


def warm_up() -> list[str]:
    """Import and exercise; returns what failed, one line each (a test expects none)."""
    failed = []
    sys.modules.update(dict.fromkeys(UNWANTED.split()))  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (STANDARD + " " + THIRD_PARTY + " " + OURS).split():
            try:
                importlib.import_module(name)
            except ImportError as error:
                if not name.startswith("_py"):  # absent in some Python versions
                    failed.append(f"import {name}: {error}")
        for idiom in _idioms():
            try:
                idiom()
            except Exception as error:
                where = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
                failed.append(f"{where[-1].line}: {error!r}")
    import inalpha

    for name in getattr(inalpha, "__all__", ()):
        getattr(inalpha, name)
    _keep_zones()
    _forget()
    _rehearse()
    # Garbage and free lists go back to the pools, where the fillers find the holes.
    gc.collect()
    return failed


_REHEARSAL = b"""
import ta
from inalpha import Strategy

class Rehearsal(Strategy):
    def on_bar(self, bar):
        frame = self.history(60)
        close = frame["close"]
        close.rolling(10).mean().iloc[-1]
        close.ewm(span=9).mean()
        close.pct_change().std()
        if len(frame) > 20:
            ta.momentum.rsi(close, 14)
            ta.volatility.bollinger_hband(close)
            ta.trend.macd(close)
"""
_REHEARSED_BARS, _REHEARSED_LOADS = 90, 5


def _rehearse() -> None:
    """Bars of a plain strategy through the runner's own code.

    The interpreter rewrites code while it is new; whatever it still rewrites in a runner is a page of its own.
    """
    from inalpha.model.bar import Bar
    from inalpha.model.instrument import Instrument
    from inalpha.model.step import StepRequest
    from inalpha.strategy.driver import StrategyDriver
    from inalpha.strategy.loader import load_strategy
    from runners import messages

    for _ in range(_REHEARSED_LOADS):
        driver = StrategyDriver(load_strategy(_REHEARSAL, "rehearsal"), {}, Instrument("X"), "1d", 1)
        driver.start()
    day = 86_400_000_000_000
    for n in range(_REHEARSED_BARS):
        bar = Bar(n * day, (n + 1) * day, 10_000, 10_100, 9_900, 10_000 + n % 50, 10**8, n)
        step = StepRequest(n, (n + 1) * day, (), bar, (0, 0), (10**12, 10**12), ())
        messages.reply_frame("0" * 32, driver.step(step))


def _forget() -> None:
    """Empty caches of the interpreter that evict: a runner would free, page by page, what filled them here."""
    struct._clearcache()  # type: ignore[attr-defined]
    sys._clear_type_cache()


def _keep_zones() -> None:
    # pandas asks for both classes: the C one by name, the pure one for its own arithmetic.
    import zoneinfo

    pure = importlib.import_module("zoneinfo._zoneinfo")

    for key in sorted(zoneinfo.available_timezones()):
        with contextlib.suppress(Exception):
            _zones.append(zoneinfo.ZoneInfo(key))
            _zones.append(pure.ZoneInfo(key))


def _idioms() -> list[Callable[[], object]]:
    import numpy as np
    import pandas as pd
    import ta

    count = 80
    rng = np.random.default_rng(0)
    close = 100 + rng.standard_normal(count).cumsum()
    frame = pd.DataFrame(
        {"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": rng.random(count)},
        index=pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC"),
    )
    return [
        lambda: ta.add_all_ta_features(frame.copy(), "open", "high", "low", "close", "volume", fillna=True),
        lambda: _frames(frame),
        lambda: _series(frame["close"], frame),
        lambda: _times(frame.index),
        _arrays,
        _texts,
    ]


def _frames(frame: Any) -> None:
    import pandas as pd

    repr(frame)
    str(frame["close"])
    frame.to_string()
    frame.head().to_html()
    frame.describe()
    frame.info(buf=io.StringIO())
    frame.to_json()
    frame.to_csv()
    frame.to_dict("records")
    frame.to_records()
    pd.read_csv(io.StringIO("a,b\n1,2\n"), parse_dates=["a"])
    pd.read_json(io.StringIO('{"a":{"0":1}}'))
    frame.resample("4h").agg({"open": "first", "high": "max", "close": "last"})
    frame.resample("1D").ohlc()
    frame.asfreq("30min", method="ffill")
    frame.groupby(frame.index.hour).mean()
    frame.groupby("close").agg(["min", "max"])
    frame.groupby(frame.index.date)["close"].transform("mean")
    pd.merge_asof(frame[["open"]], frame[["close"]], left_index=True, right_index=True)
    frame.merge(frame, left_index=True, right_index=True)
    frame.join(frame, rsuffix="_r")
    pd.concat([frame, frame])
    pd.concat([frame["open"], frame["close"]], axis=1)
    frame.apply(lambda row: row.sum(), axis=1)
    frame.map(abs)
    frame.pipe(len)
    frame.corr()
    frame.cov()
    frame.rank()
    frame.quantile([0.1, 0.9])
    frame.query("close > open")
    frame.eval("close - open")
    frame.pivot_table(values="close", index="open")
    frame.melt()
    frame.stack()
    _ = frame.T
    frame.drop_duplicates()
    frame.sort_values("close")
    frame.sort_index()
    frame.nlargest(3, "close")
    _ = frame.iloc[-3:]
    _ = frame.loc[frame.index[0] :]
    frame.between_time("01:00", "05:00")
    frame.isna().any()
    frame.fillna(0)
    frame.dropna()
    frame.ffill()
    frame.interpolate()
    frame.rolling(5).agg(["mean", "std"])
    frame.expanding().mean()
    frame.ewm(span=3).mean()
    frame.rolling("3h")["close"].apply(lambda window: window[-1], raw=True)
    frame.assign(x=1).set_index("x").reset_index()
    frame.itertuples().__next__()


def _series(series: Any, frame: Any) -> None:
    import pandas as pd

    series.rolling(5).quantile(0.5)
    series.rolling(5).skew()
    series.rolling(5).corr(frame["open"])
    series.pct_change().std()
    series.diff().cumsum()
    series.shift(1)
    series.autocorr()
    series.ewm(alpha=0.1).std()
    series.ewm(halflife=3).var()
    pd.cut(series, 4)
    pd.qcut(series, 4)
    series.value_counts(bins=3)
    series.clip(0, 1)
    series.where(series > 0)
    series.mask(series > 0)
    series.between(0, 1)
    series.idxmax()
    series.argmax()
    series.mode()
    series.skew()
    series.kurt()
    series.sem()
    series.interpolate(method="time")
    series.astype(str).str.upper()
    series.astype("int64")
    series.astype("float32")
    _ = pd.Series(["a", "b"], dtype="category").cat.codes
    pd.Series(["a"]).str.contains("a")
    series.to_numpy()
    series.tolist()
    series.to_frame()
    pd.get_dummies(pd.Series(["a", "b"]))
    pd.factorize(pd.Series(["a", "b"]))
    pd.to_numeric(pd.Series(["1", "x"]), errors="coerce")
    pd.Series([1, None]).convert_dtypes()
    pd.testing.assert_series_equal(series, series)


def _times(index: Any) -> None:
    import datetime

    import pandas as pd

    pd.to_datetime("2024-01-02 03:04")
    pd.to_datetime(["2024-01-02"], format="%Y-%m-%d")
    pd.to_datetime([1_700_000_000], unit="s", utc=True)
    pd.to_datetime(["Jan 2, 2024"])
    index.tz_convert("America/New_York")
    index.tz_localize(None).tz_localize("Europe/Berlin")
    index.floor("D")
    index.round("h")
    index.normalize()
    index.strftime("%Y-%m")
    index.day_name()
    _ = [pd.date_range("2024-01-01", periods=3, freq=f) for f in ("B", "W", "ME", "QE", "YE", "BME", "15min")]
    pd.bdate_range("2024-01-01", periods=3)
    pd.timedelta_range("1h", periods=3)
    pd.Timedelta("1h30min")
    pd.Timestamp.now("UTC")
    _ = pd.Timestamp("2024-01-01") + pd.offsets.BDay(2)
    pd.Timestamp("2024-01-01", tz="Asia/Tokyo").isoformat()
    pd.Period("2024-01", "M")
    datetime.datetime.strptime("2024-01-02", "%Y-%m-%d")
    datetime.datetime.now().strftime("%A %c")
    datetime.datetime.fromisoformat("2024-01-02T03:04:05+00:00").astimezone()


def _arrays() -> None:
    import numpy as np

    line = np.arange(8.0)
    square = np.eye(3) + 0.1
    np.polyfit(line, line, 1)
    np.polynomial.Polynomial.fit(line, line, 2)
    np.poly1d([1, 2])(3)
    np.linalg.lstsq(square, np.ones(3), rcond=None)
    np.linalg.svd(square)
    np.linalg.eigh(square)
    np.linalg.inv(square)
    np.linalg.det(square)
    np.linalg.solve(square, np.ones(3))
    np.linalg.qr(square)
    np.fft.fft(line)
    np.fft.rfft(line)
    np.convolve(line, line)
    np.correlate(line, line)
    np.histogram(line)
    np.percentile(line, 5)
    np.median(line)
    np.corrcoef(line, line)
    np.cov(line)
    np.interp(2.5, line, line)
    np.gradient(line)
    np.diff(line)
    np.searchsorted(line, 3)
    np.digitize(line, line)
    np.random.default_rng(1).normal(size=3)
    np.random.RandomState(1).rand(3)
    np.random.seed(1)
    np.array2string(line)
    repr(square)
    np.lib.stride_tricks.sliding_window_view(line, 3)
    np.nanmean(line)
    np.where(line > 1, 1, 0)
    np.einsum("i,i", line, line)
    np.ma.masked_invalid(line)
    np.datetime64("2024-01-01")
    np.busday_count("2024-01-01", "2024-02-01")
    np.unique(line)
    np.loadtxt(io.StringIO("1 2"))
    np.genfromtxt(io.StringIO("1,2"), delimiter=",")
    np.testing.assert_allclose(line, line)


def _texts() -> None:
    import decimal
    import fractions
    import json
    import logging
    import random
    import re
    import statistics

    json.dumps({"a": [1.5]}, indent=1)
    json.loads("[1]")
    re.sub(r"\d+", "x", "a1")
    _ = decimal.Decimal("1") / 3
    fractions.Fraction("1/3")
    statistics.stdev([1, 2, 3])
    statistics.linear_regression([1, 2], [1, 2])
    statistics.NormalDist().cdf(0.5)
    random.Random(1).gauss(0, 1)
    random.Random(1).sample(range(9), 3)
    "é".encode("idna")
    b"x".decode("latin-1")
    "x".encode("utf-16")
    logging.getLogger("strategy").info("warm")
    _formatted_traceback()


def _formatted_traceback() -> str:
    try:
        return str(1 / 0)
    except ZeroDivisionError as error:
        return traceback.format_exc() + "".join(traceback.format_exception(error))
