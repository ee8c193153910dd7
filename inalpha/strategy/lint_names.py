"""Which modules and calls a strategy can use, as far as reading the file can tell."""

from __future__ import annotations

_NO_FILES = "There are no files; everything needed arrives with the bar."
_NO_NETWORK = "There is no network."
_NO_PROCESS = "There is one process and one thread."
_NO_CLOCK = "Use self.clock.now()."

BANNED_MODULES: dict[str, str] = {
    **dict.fromkeys(("os", "pathlib", "shutil", "tempfile", "glob", "io", "sqlite3", "pickle"), _NO_FILES),
    **dict.fromkeys(
        ("socket", "ssl", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib"), _NO_NETWORK
    ),
    **dict.fromkeys(
        ("subprocess", "multiprocessing", "threading", "concurrent", "asyncio", "signal"), _NO_PROCESS
    ),
    **dict.fromkeys(
        ("ctypes", "mmap", "importlib", "sys", "gc", "inspect", "builtins"), "Not for strategies."
    ),
    "time": _NO_CLOCK,
    "ccxt": _NO_NETWORK,
    "yfinance": _NO_NETWORK,
}

ALLOWED_MODULES = frozenset(
    {
        "__future__", "abc", "array", "bisect", "cmath", "collections", "copy", "dataclasses",
        "datetime", "decimal", "enum", "fractions", "functools", "heapq", "inalpha", "itertools",
        "json", "math", "numbers", "numpy", "operator", "pandas", "random", "re", "statistics",
        "string", "ta", "textwrap", "types", "typing", "zoneinfo",
    }
)  # fmt: skip

BANNED_CALLS = {
    "open": _NO_FILES,
    "exec": "Write the code out.",
    "eval": "Write the code out.",
    "compile": "Write the code out.",
    "__import__": "Import at the top of the file.",
    "input": "Nobody is there to answer.",
    "breakpoint": "Use self.log(text).",
    "hash": "It changes with the hash seed: use hashlib.",
    "id": "It changes with every process: use a counter.",
    "exit": "Return from on_bar.",
    "quit": "Return from on_bar.",
}

CLOCK_CALLS = frozenset(
    {"time.time", "time.monotonic", "time.perf_counter", "datetime.now", "datetime.utcnow", "date.today"}
)

# A recursive function has forgotten its start after about this many windows.
LOOKBACK_PER_WINDOW = 15

# Functions of `ta` whose value on a bar depends on every bar before it.
RECURSIVE_TA = frozenset(
    {
        "adx", "adx_neg", "adx_pos", "average_true_range", "ema_indicator", "kama",
        "keltner_channel_hband", "keltner_channel_lband", "macd", "macd_diff", "macd_signal", "ppo",
        "ppo_signal", "psar_down", "psar_up", "pvo", "rsi", "stochrsi", "stochrsi_d", "stochrsi_k",
        "trix", "tsi",
    }
)  # fmt: skip
