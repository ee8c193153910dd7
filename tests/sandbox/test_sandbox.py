"""The sandbox as its users see it: idioms, seeds, limits, levels, and what ends with whom."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inalpha.model.bar import Bar
from inalpha.model.instrument import Instrument
from inalpha.model.runner import RunnerEnded
from inalpha.model.step import StepReply, StepRequest
from runners.forkserver import clean_environment
from runners.local import LocalSandbox, SandboxRunner, demand_level
from runners.probe import NEEDS, Evidence
from runners.process import kill_recorded, read_boot_id
from runners.protocol import Limits

DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox() as started:
        yield started


def strategy(body: str, head: str = "") -> bytes:
    text = f"{head}\nfrom inalpha import Strategy\n\nclass Mine(Strategy):\n    def on_bar(self, bar):\n"
    return (text + textwrap.indent(textwrap.dedent(body).strip(), "        ") + "\n").encode()


def begin(sandbox: LocalSandbox, source: bytes, **options: object) -> SandboxRunner:
    digest = hashlib.sha256(source).hexdigest()
    return sandbox.start_run(source, digest, {}, Instrument("X"), "1d", 1, **options)  # type: ignore[arg-type]


def request(sequence: int = 0) -> StepRequest:
    bar = Bar(sequence * DAY, (sequence + 1) * DAY, 10_000, 10_100, 9_900, 10_050, 10**8, sequence)
    return StepRequest(sequence, (sequence + 1) * DAY, (), bar, (0, 0), (10**12, 10**12), ())


def say(sandbox: LocalSandbox, expression: str, head: str = "") -> str:
    """What the expression is inside a runner."""
    runner = begin(sandbox, strategy(f"self.log(str({expression}))", head))
    reply = runner.step(request())
    runner.kill()
    assert reply.error == ""
    return reply.logs[0]


IDIOMS = """
pd.Series([1.0, 2, 3]).rolling(2).mean().iloc[-1]
pd.Series(range(50)).ewm(span=5).mean().round(3).iloc[-1]
pd.DataFrame({"a": [1, 2], "b": [3, 4]}).describe().loc["mean", "a"]
pd.DataFrame({"a": [1, 2]}).to_string()
pd.DataFrame({"a": [1, 2]}).to_json()
pd.DataFrame({"a": [1, 2]}).to_csv()
repr(pd.DataFrame({"a": [1.5, None]}))
pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a").sum().to_dict()
pd.DataFrame({"a": [3, 1]}).sort_values("a").query("a > 1").shape
pd.date_range("2024-01-01", periods=3, freq="B")[-1].isoformat()
pd.Series(range(48), index=pd.date_range("2024", periods=48, freq="h")).resample("1D").sum().to_list()
pd.Timestamp("2024-07-01", tz="America/New_York").tz_convert("Asia/Tokyo").isoformat()
pd.to_datetime("2024-02-30", errors="coerce")
pd.merge_asof(pd.DataFrame({"t": [1, 5]}), pd.DataFrame({"t": [0, 4], "x": [7, 8]}), on="t").x.to_list()
pd.cut(pd.Series([1, 5, 9]), 3).value_counts().sum()
pd.Series([1.0, None, 3]).interpolate().to_list()
pd.DataFrame({"a": [1, 2, 3], "b": [3, 2, 1]}).corr().iloc[0, 1]
pd.Series(["a", "b"]).str.upper().to_list()
pd.DataFrame({"a": [1, 2]}).apply(lambda r: r.a * 2, axis=1).to_list()
pd.Series([1, 2, 3]).pct_change().std().round(3)
np.polyfit([0, 1, 2], [0, 1, 2], 1).round(6)
np.linalg.lstsq(np.eye(2), np.ones(2), rcond=None)[0]
np.fft.rfft(np.ones(4)).real
np.percentile([1, 2, 3], 50)
np.random.default_rng(7).normal()
random.Random(7).random()
ta.momentum.rsi(pd.Series(np.arange(40.0) % 7), 14).round(3).iloc[-1]
ta.trend.macd(pd.Series(np.arange(40.0))).round(3).iloc[-1]
ta.volatility.average_true_range(*[pd.Series(np.arange(40.0) + n) for n in (1, 0, 0.5)]).round(3).iloc[-1]
ta.volatility.BollingerBands(pd.Series(np.arange(40.0))).bollinger_hband().round(3).iloc[-1]
datetime.datetime.strptime("2024-01-02", "%Y-%m-%d").strftime("%A")
datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Pacific/Auckland")).isoformat()
statistics.stdev([1, 2, 4])
decimal.Decimal("1") / decimal.Decimal("3")
fractions.Fraction("1/3") + 1
"é".encode("idna")
json.dumps({"a": [1, 2]}, indent=1)
re.sub(r"\\d", "x", "a1")
""".strip().splitlines()
HEAD = """
import datetime, decimal, fractions, json, random, re, statistics, zoneinfo
import numpy as np
import pandas as pd
import ta
"""


def test_idioms_of_authors_work_locked(sandbox: LocalSandbox) -> None:
    assert len(IDIOMS) >= 24
    body = "\n".join(
        f"try:\n    str({idiom})\nexcept Exception as e:\n    self.log({idiom[:60]!r} + ' -> ' + repr(e)[:200])"
        for idiom in IDIOMS
    )
    reply = begin(sandbox, strategy(body, HEAD), limits=Limits(step_s=10)).step(request())
    assert (reply.logs, reply.error) == ((), "")


def test_warm_up_failed_nowhere(sandbox: LocalSandbox) -> None:
    assert sandbox.evidence.facts["warm_up_failed"] == []


@pytest.mark.parametrize("module", ["matplotlib.pyplot", "requests", "scipy"])
def test_absent_package_fails_in_plain_words(sandbox: LocalSandbox, module: str) -> None:
    with pytest.raises(RunnerEnded) as caught:
        begin(sandbox, strategy("pass", f"import {module}"))
    assert caught.value.code == "load"
    assert f"No module named '{module.split('.', maxsplit=1)[0]}'" in caught.value.message
    assert "line 1" in caught.value.message


@pytest.mark.skipif(os.geteuid() != 0, reason="a runner's memory map is closed to its own user")
def test_a_hot_runner_owns_less_than_8_mb(sandbox: LocalSandbox) -> None:
    """After 60 bars of pandas and ta: what it shares with no other process."""
    body = "close = self.history(60)['close']\nclose.rolling(10).mean()\nta.momentum.rsi(close, 14)"
    runner = begin(sandbox, strategy(body, "import ta"))
    for seq in range(60):
        assert runner.step(request(seq)).error == ""
    rollup = Path(f"/proc/{runner.process.pid}/smaps_rollup").read_text()
    private = sum(int(n) for n in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE)) * 1024
    assert 1_000_000 < private < 8_000_000


def test_accelerators_are_absent_wherever_they_are_installed(sandbox: LocalSandbox) -> None:
    with pytest.raises(RunnerEnded, match="ModuleNotFoundError: import of pyarrow halted"):
        begin(sandbox, strategy("pass", "import pyarrow"))


def test_plotting_fails_in_plain_words(sandbox: LocalSandbox) -> None:
    reply = begin(sandbox, strategy("pd.Series([1, 2]).plot()", "import pandas as pd")).step(request())
    assert "ImportError: matplotlib is required for plotting" in reply.error
    assert "(line 6)" in reply.error


def test_seeded_generators_work_and_unseeded_ones_raise(sandbox: LocalSandbox) -> None:
    runs = [say(sandbox, "(self.random.random(), self.rng.normal())") for _ in range(2)]
    assert runs[0] == runs[1]
    runner = begin(sandbox, strategy("np.random.default_rng()", "import numpy as np"))
    assert "PermissionError" in runner.step(request()).error


def test_hash_seed_is_the_zygotes(sandbox: LocalSandbox) -> None:
    first, again = (say(sandbox, "hash('inalpha')") for _ in range(2))
    with LocalSandbox(hash_seed=99) as other:
        changed = say(other, "hash('inalpha')")
    assert first == again != changed


def test_environment_is_exactly_the_clean_one(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert say(sandbox, "sorted(os.environ.items())", "import os") == str(sorted(clean_environment().items()))


def test_warm_bars_feed_history_not_on_bar(sandbox: LocalSandbox) -> None:
    source = strategy("self.log(str(len(self.history(500))))")
    runner = begin(sandbox, source)
    runner.warm([Bar(n * DAY, (n + 1) * DAY, 1, 1, 1, 1, 1) for n in range(250)])
    assert runner.step(request(250)).logs == ("251",)


def test_prints_are_kept_escaped(sandbox: LocalSandbox) -> None:
    runner = begin(sandbox, strategy("print('hello \\x1b[2J')"))
    runner.step(request())
    assert "hello \\x1b[2J" in runner.output


def test_memory_budget_is_told(sandbox: LocalSandbox) -> None:
    runner = begin(sandbox, strategy("x = bytearray(100 << 20)"), limits=Limits(memory_bytes=64 << 20))
    reply = runner.step(request())
    assert reply.error.startswith("MemoryError")
    with pytest.raises(RunnerEnded, match="over 64 MiB") as caught:
        runner.step(request(1))
    assert caught.value.code == "memory"


def test_kill_from_outside_is_rebuilt(sandbox: LocalSandbox) -> None:
    runner = begin(sandbox, strategy("pass"))
    os.kill(runner.process.pid, signal.SIGKILL)
    with pytest.raises(RunnerEnded) as caught:
        runner.step(request())
    assert (caught.value.code, caught.value.becomes.value) == ("killed", "rebuilt")


def test_bars_are_answered_after_another_run_has_failed(sandbox: LocalSandbox) -> None:
    good = begin(sandbox, strategy("self.log(str(bar.sequence))"))
    bad = begin(sandbox, strategy("while True: pass"), limits=Limits(step_s=0.2))
    with pytest.raises(RunnerEnded):
        bad.step(request())
    assert [good.step(request(n)).logs for n in range(3)] == [("0",), ("1",), ("2",)]


def test_stop_returns_the_last_logs(sandbox: LocalSandbox) -> None:
    source = strategy("pass") + b"    def on_stop(self):\n        self.log('bye')\n"
    assert begin(sandbox, source).stop() == ("bye",)


def test_source_that_is_not_its_sha256_is_refused(sandbox: LocalSandbox) -> None:
    with pytest.raises(RunnerEnded, match="sha256"):
        sandbox.start_run(b"x = 1", "0" * 64, {}, Instrument("X"), "1d", 1)


def test_source_above_its_limit_is_refused(sandbox: LocalSandbox) -> None:
    with pytest.raises(RunnerEnded, match="at most 32768"):
        begin(sandbox, b"#" * 32_769)


def test_parameters_reach_the_strategy(sandbox: LocalSandbox) -> None:
    source = strategy("self.log(str(self.length))").replace(
        b"    def on_bar", b"    length: int = 5\n\n    def on_bar"
    )
    digest = hashlib.sha256(source).hexdigest()
    runner = sandbox.start_run(source, digest, {"length": 9}, Instrument("X"), "1d", 1)
    assert runner.step(request()).logs == ("9",)
    assert runner.params == {"length": 9}


def test_level_is_measured_by_twelve_refusals(sandbox: LocalSandbox) -> None:
    evidence = sandbox.evidence
    assert evidence.level == "sealed"
    assert len(NEEDS["sealed"]) == 12
    assert all(evidence.attempts[name].startswith("refused") for name in NEEDS["sealed"])
    assert evidence.attempts["control"] == "allowed"
    # The twin shows that the attempts work here at all.
    assert evidence.unlocked["fork"] == evidence.unlocked["open"] == "allowed"


def test_lower_level_than_wanted_is_refused_naming_the_layers() -> None:
    evidence = Evidence("fenced", {"stat": "allowed", "open": "refused", "control": "allowed"})
    with pytest.raises(RunnerEnded, match=r"fenced, sealed demanded; not refused: stat.*isolation\.fenced"):
        demand_level(evidence, "sealed")
    demand_level(evidence, "fenced")
    demand_level(evidence, "process")


def test_no_level_at_all_is_always_refused() -> None:
    with pytest.raises(RunnerEnded, match="none"):
        demand_level(Evidence(None), "process")


def test_recorded_runner_is_ended_on_an_exact_match_only() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    ticks = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert not kill_recorded(child.pid, ticks + 1, read_boot_id())
    assert not kill_recorded(child.pid, ticks, "another boot")
    assert child.poll() is None
    assert kill_recorded(child.pid, ticks, read_boot_id())
    assert child.wait() == -signal.SIGKILL
    assert not kill_recorded(child.pid, ticks, read_boot_id())


def test_runners_and_zygote_die_with_the_host() -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_sandbox import LocalSandbox, begin, strategy
box = LocalSandbox(); box.start()
runner = begin(box, strategy("pass"))
print(runner.process.pid, box._zygote.pid, flush=True)
time.sleep(60)
"""
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pids = [int(word) for word in host.stdout.readline().split()]
    host.kill()
    host.wait()
    until = time.monotonic() + 5
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < until, "a child outlived its host"
        os.sched_yield()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_replies_are_the_drivers_own(sandbox: LocalSandbox) -> None:
    reply = begin(sandbox, strategy("self.buy('1.5', reason='why')")).step(request())
    assert isinstance(reply, StepReply)
    assert [(i.action, i.side, i.quantity, i.reason) for i in reply.intents] == [
        ("order", "buy", "1.5", "why")
    ]
