"""Words of others are exact in the record and harmless wherever they leave."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.attacks import load_verifier

from inalpha.model.plain import cell, escaped_json, json_text, lines_of, markdown, plain, quoted

HOSTILE = [
    "\x1b[2J\x1b[31mFAKE\r\n- 2024-01-01 run-9 buy 1: filled \u202egnp \x1b]52;c;aGk=\x07",
    "\x1b]8;;http://example.invalid/\x07link\u200b",
    "# a heading", "- an item", "1. an item", "> a quote", "| a | table |", "```\nfence", "    code", "---", "===",
    "[x](http://example.invalid)", "![x](y)", "<b>x</b>", "&lt;", "http://example.invalid/a_b", "www.example.invalid",
    "a@example.invalid", "mailto:a@example.invalid", "*x* _y_ ~~z~~ `c`", "``", "`", "a `` b `c", "\\",
    "x\\", "\\\n# y",
    "- [ ] a task", "[^1]: a note", "\x85- next", "\u2028# next", "\x0c# next", "a  \n# b", "{{x}}", "$x$", "",
    " ", "\t",
]  # fmt: skip
PARSER = MarkdownIt("gfm-like", {"html": True})


def read_as(text: str) -> tuple[list[str], str]:
    """What a reader of Markdown makes of an item with this text: its elements, and the letters that it shows."""
    tokens = PARSER.parse(f"- run-1 {text}\n")
    blocks = [token.type for token in tokens if token.type != "inline"]
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "code_inline"}, (text, inline)
    return blocks, "".join(child.content for child in inline)


ONE_ITEM = [
    "bullet_list_open", "list_item_open", "paragraph_open", "paragraph_close", "list_item_close", "bullet_list_close",
]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_make_one_item_of_text_in_markdown(words: str) -> None:
    for made in (markdown(words), quoted(words)):
        assert read_as(made)[0] == ONE_ITEM
        assert [t.type for t in PARSER.parse(f"- {made}\n")] in (
            [*ONE_ITEM[:3], "inline", *ONE_ITEM[3:]],
            [*ONE_ITEM[:2], *ONE_ITEM[4:]],
        )


@given(st.text(st.characters(), max_size=40) | st.text("`*_[]<>|~&#\\-:.@/!1)w \n\r\t\x1b", max_size=30))
def test_no_words_forge_markdown(words: str) -> None:
    for made in (markdown(words), quoted(words)):
        blocks, shown = read_as(made)
        assert blocks == ONE_ITEM
        assert "".join(shown.split()) == "run-1" + "".join(plain(words).split())


@given(st.text(st.characters(), max_size=40))
def test_plain_text_is_one_line_that_steers_nothing(words: str) -> None:
    shown = plain(words)
    assert shown.isprintable() or all(c.isprintable() or c.isspace() for c in shown)
    assert len(shown.splitlines()) <= 1 and not set(shown) & set("\x1b\n\r\t\x7f\x9b\u202e\u200b\u2028\u3164")
    assert plain(shown) == shown


INK = "a\u0301\u0302\u0308\ufe0f\u034f\u17b4\u3164\U000e0100\u20dd\\ "


@given(st.text(INK, max_size=8), st.text(INK, max_size=8))
def test_no_two_words_are_shown_alike_by_what_has_no_ink(one: str, other: str) -> None:
    """Each letter without ink, each repeated mark and each mark beyond the cap is there to be read."""
    assert plain(plain(one)) == plain(one)
    if "\\" not in one + other and one != other:
        assert plain(one) != plain(other)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("lots\ufe0f", "lots\\ufe0f"), ("q\u0301\u0301", "q\u0301\\u0301"), ("\u0301a", "\\u0301a"),
        ("q\u0301\u0302\u0303\u0304", "q\u0301\u0302\\u0303\\u0304"), ("a\U000e0100", "a\\U000e0100"),
        ("é e\u0301 ü", "é e\u0301 ü"), ("a\n\u0301", "a\\n\\u0301"),
    ],
)  # fmt: skip
def test_marks_are_escaped_and_none_is_dropped(words: str, shown: str) -> None:
    assert plain(words) == shown


def test_json_is_exact_and_ascii() -> None:
    body = {"a": "".join(HOSTILE) + "\x7f\x80\x9b\x9f\u2066\U000e0041é"}
    made = json_text(body)
    assert made.isascii() and made.isprintable() and json.loads(made) == body
    loose = json.dumps(body, ensure_ascii=False)
    assert "\x9b" in loose and "\u202e" in loose
    tame = escaped_json(loose)
    assert json.loads(tame) == body and "é" in tame and not set(tame) & set("\x7f\x9b\u202e\u2066\U000e0041")


def test_a_cell_is_no_formula_and_no_second_row() -> None:
    assert cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert [cell(f"{sign}1") for sign in "+-@＝"] == ["'+1", "'-1", "'@1", "'＝1"]
    assert cell("\r\n=1") == "\\r\\n=1" and cell("  =1") == "'=1" and cell("MA_CROSS") == "MA_CROSS"


def test_only_what_ends_a_line_for_python_ends_one_of_a_source() -> None:
    source = "a = 1 # harmless\x85self.buy(1)\u2028b\x0cc\r\nd\re\n"
    assert lines_of(source) == ["a = 1 # harmless\x85self.buy(1)\u2028b\x0cc", "d", "e"]


# -- the one printer ---------------------------------------------------------------------------------

ROOT = Path(__file__).parents[3]
# They print by themselves: the command line's printer, the gate's evidence as
# JSON to the daemon, the daemon's log as JSON, a runner that says into its pipe why it could not lock itself down.
PRINTERS = {
    "inalpha/cli/output.py", "inalpha/research/gate.py",
    "inalpha/daemon/logs.py", "runners/child.py",
}  # fmt: skip
# Strategies, which print from inside the sandbox into a pipe.
STRATEGIES = ("inalpha/redteam/payloads/", "inalpha/demo/strategies/")


WAYS = {
    "print", "click.echo", "click.secho", "click.progressbar", "click.echo_via_pager", "warnings.warn",
    "traceback.print_exc", "traceback.print_exception",
}  # fmt: skip


def prints(tree: ast.AST) -> list[int]:
    """Lines that print otherwise than by `say`, and what is not made plain on the spot."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        is_stream = name.endswith((".write", ".writelines")) and ("stdout" in name or "stderr" in name)
        is_descriptor = name == "os.write" and ast.unparse(node.args[0]) in ("1", "2")
        is_plain = bool(node.args) and ast.unparse(node.args[0]).startswith("plain(")
        if (name in WAYS or is_stream or is_descriptor) and not is_plain:
            found.append(node.lineno)
    return found


def test_nothing_prints_but_the_printers() -> None:
    for folder in ("inalpha", "runners", "tui"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in PRINTERS or name.startswith(STRATEGIES):
                continue
            assert prints(ast.parse(path.read_bytes())) == [], name


def test_the_ban_would_find_each_way_to_print() -> None:
    ways = "print(1)\nclick.echo(1)\nsys.stdout.write('a')\nsys.stderr.writelines([])\nclick.secho(1)\nos.write(1, b'')"
    assert prints(ast.parse(ways)) == [1, 2, 3, 4, 5, 6]


def test_the_auditors_file_tells_nothing_raw_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd\x1b[2J\u202e.zip"
    for words in ([str(odd)], [str(tmp_path)], [str(tmp_path), "--policy", str(odd)]):
        with pytest.raises(SystemExit):
            load_verifier().main([*words, "--genesis", "0" * 64])
    odd.write_bytes(b"no archive")
    verify = load_verifier()
    assert verify.main([str(odd), "--genesis", "0" * 64]) == verify.BROKEN
    verify.show({"checks": [], "reason": f"C1 at line 0: {HOSTILE[0]}"})
    told = capsys.readouterr()
    assert "\\x1b[2J" in told.err and not set(told.out + told.err) & set("\x1b\r\x07\x9b\u202e")
