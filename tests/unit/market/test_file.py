"""CSV files: what is read, what refuses the whole file, and how growth is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from inalpha.market.bargate import BarGate
from inalpha.market.bars import load_bars
from inalpha.market.sources.file import DataError, FileSource, read_csv, time_ns
from inalpha.model.instrument import Instrument
from inalpha.model.money import E8

HEAD = "time,open,high,low,close,volume\n"
GOOD = HEAD + "".join(f"2024-01-0{day},10,11,9,10.5,100\n" for day in range(1, 6))


def write(folder: Path, text: str) -> Path:
    path = folder / "test.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_loads(tmp_path: Path) -> None:
    data = load_bars(write(tmp_path, GOOD))
    assert (len(data.bars), data.timeframe.name, data.gaps, data.instrument.symbol) == (5, "1d", (), "TEST")
    assert [bar.sequence for bar in data.bars] == [0, 1, 2, 3, 4]
    assert data.bars[-1] == list(data.bars)[4]
    assert data.bars[1:3] == list(data.bars)[1:3]


@pytest.mark.parametrize(
    ("text", "code", "line", "field", "value"),
    [
        ("", "EMPTY_FILE", 0, "", None),
        (HEAD, "EMPTY_FILE", 0, "", None),
        ("time,open,high,low,close\n2024-01-01,1,1,1,1\n", "MISSING_COLUMN", 1, "header", None),
        (GOOD + "2024-01-06,10,11,9\n", "MISSING_VALUE", 7, "line", None),
        (GOOD + "2024-01-06,10,11,9,,100\n", "NOT_FINITE", 7, "close", ""),
        (GOOD + "2024-01-06,10,11,9,nan,100\n", "NOT_FINITE", 7, "close", "nan"),
        (GOOD + "2024-01-06,10,9.5,9,10,100\n", "BAD_OHLC", 7, "high", "9.5"),
        (GOOD + "2024-01-06,0,11,0,10,100\n", "NOT_POSITIVE", 7, "open", "0"),
        (GOOD + "2024-01-06,10,11,9,10,-5\n", "NOT_POSITIVE", 7, "volume", "-5"),
        (GOOD + "2024-01-03,10,11,9,10.5,100\n", "OUT_OF_ORDER", 7, "time", None),
        (GOOD + "2024-01-05,10,11,9,10.4,100\n", "REVISION", 7, "close", "10.4"),
        (GOOD + "2024-01-06T05:00,10,11,9,10,1\n", "OFF_GRID", 7, "time", None),
        (GOOD + "yesterday,10,11,9,10,1\n", "BAD_TIME", 7, "time", "yesterday"),
    ],
)
def test_a_defect_refuses_the_file_with_line_field_and_value(
    tmp_path: Path, text: str, code: str, line: int, field: str, value: str | None
) -> None:
    with pytest.raises(DataError) as caught:
        load_bars(write(tmp_path, text))
    error = caught.value
    assert (error.code, error.line, error.field) == (code, line, field)
    if value is not None:
        assert error.value == value
    if line:
        assert f"line {line}" in str(error)


def test_equal_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    data = load_bars(write(tmp_path, GOOD + "2024-01-05,10,11,9,10.5,100\n"))
    assert (len(data.bars), data.duplicates) == (5, 1)


def test_gaps_are_recorded(tmp_path: Path) -> None:
    data = load_bars(write(tmp_path, GOOD + "2024-01-08,10,11,9,10.5,100\n"))
    assert [(gap.missing, gap.cause) for gap in data.gaps] == [(2, "unknown")]


def test_the_tick_follows_the_data_unless_kept(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "2024-01-06,10,11,9,10.1234,100\n")
    assert load_bars(path).instrument.tick_e8 == E8 // 10_000
    with pytest.raises(DataError, match="OFF_TICK"):
        load_bars(path, Instrument("X"), keep_tick=True)


def test_columns_are_found_by_name_and_others_ignored(tmp_path: Path) -> None:
    text = "Volume,note,Close,Low,High,Open,Time\n100,hello,10.5,9,11,10,2024-01-01\n"
    (bar,) = read_csv(write(tmp_path, text))
    assert (bar.open, bar.close, bar.volume) == ("10", "10.5", "100")


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01 01:00+01:00", "1704067200", "1704067200000"]
)
def test_times_in_every_form(text: str) -> None:
    assert time_ns(text) == 1_704_067_200_000_000_000


def test_growth_is_followed_and_half_a_line_held(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "2024-01-01,10,11,9,10.5,100\n2024-01-02,10,11")
    source = FileSource(path)
    assert [bar.line for bar in source.poll()] == [2]
    assert source.poll() == []
    with path.open("a") as file:
        file.write(",9,10.5,100\n2024-01-03,10,11,9,10.5,100\n")
    assert [(bar.line, bar.volume) for bar in source.poll()] == [(3, "100"), (4, "100")]


def test_a_shortened_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    source = FileSource(path)
    source.poll()
    write(tmp_path, HEAD)
    with pytest.raises(DataError, match="FILE_SHRANK"):
        source.poll()


BAD_LINES = [
    ("--5,10,11,9,10.5,100", "BAD_TIME"),
    ("²,10,11,9,10.5,100", "BAD_TIME"),
    ("1" * 5000 + ",10,11,9,10.5,100", "BAD_TIME"),
    ("99999999999999999,10,11,9,10.5,100", "BAD_TIME"),
    ("9999-12-31,10,11,9,10.5,100", "BAD_TIME"),
    ("2024-01-06,10,1e308,9,10.5,100", "NOT_FINITE"),
    ("2024-01-06,10,11,9,10.5,1e19", "NOT_FINITE"),
    ("2024-01-06,10,11,9,10.5,100," + "x" * 200_000, "BAD_LINE"),
    ('"2024-01-06,10,11,9,10.5,100', "MISSING_VALUE"),
    ("2024-01-06,10,11,9,10.5,1\xe9", "NOT_FINITE"),
]


@pytest.mark.parametrize(("bad", "code"), BAD_LINES, ids=[bad[:12] for bad, _ in BAD_LINES])
def test_a_line_beyond_reading_is_refused_by_its_number(tmp_path: Path, bad: str, code: str) -> None:
    with pytest.raises(DataError, match="line 7") as caught:
        load_bars(write(tmp_path, GOOD + bad + "\n2024-01-07,10,11,9,10.5,100\n"))
    assert caught.value.code == code


def test_a_file_in_another_encoding_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(GOOD.encode() + b"2024-01-06,10,11,9,10.5,1\xe9\n")
    with pytest.raises(DataError, match=r"line 7.*UTF-8"):
        load_bars(path)


@pytest.mark.parametrize("bad", [bad for bad, _ in BAD_LINES], ids=[bad[:12] for bad, _ in BAD_LINES])
def test_a_live_file_loses_no_line_behind_a_bad_one(tmp_path: Path, bad: str) -> None:
    source = FileSource(write(tmp_path, HEAD + bad + "\n2024-01-07,10,11,9,10.5,100\n"))
    broken, good = source.poll()
    assert (broken.line, good.line, good.close) == (2, 3, "10.5")
    gate = BarGate("1d", Instrument("X"))
    assert gate.offer(broken, 2**63).bar is None
    assert gate.offer(good, 2**63).bar is not None


def test_a_volume_beyond_64_bits_is_kept(tmp_path: Path) -> None:
    data = load_bars(write(tmp_path, GOOD + "2024-01-06,10,11,9,10.5,400000000000\n"))
    assert data.bars[-1].volume_e8 == 4 * 10**19
