"""`inalpha`: the console, the daemon's front door and the plain-text twin of every screen.

Command groups are imported only when used, so that a verb starts in a few hundredths of a second and
Textual is loaded only by the console itself.
"""

from __future__ import annotations

import importlib
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from inalpha import __version__
from inalpha.cli.output import fail, guarded, say, show_trouble
from inalpha.model.errors import EXIT_FAILURE, EXIT_USAGE, ConfigError, InalphaError
from inalpha.model.home import Home
from inalpha.model.memory import close_memory

# verb -> module that holds its click command under the same name ("-" becomes "_").
VERBS: dict[str, str] = {
    "init": "setup",
    "demo": "demo",
    "status": "health",
    "doctor": "health",
    "stop-daemon": "health",
    "backtest": "backtest",
    "walkforward": "walkforward",
    "lint": "backtest",
    "candidate": "candidates",
    "feed": "feed",
    "run": "runs",
    "replay": "reexecute",
    "parity": "reexecute",
    "plan": "plans",
    "decisions": "record",
    "fills": "record",
    "positions": "record",
    "account": "record",
    "report": "record",
    "halt": "safety",
    "resume": "safety",
    "risk": "safety",
    "alerts": "alerts",
    "operator": "keys",
    "agent": "keys",
    "host": "hosts",
    "bus": "hosts",
    "audit": "audit",
    "prove": "audit",
    "redteam": "redteam",
    "policy": "policy",
    "blob": "accounts",
    "rollback": "recover",
    "backup": "backups",
    "restore": "backups",
}


class Verbs(click.Group):
    """Loads a verb's module when it is asked for, and turns expected errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"inalpha.cli.{VERBS[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **kwargs: Any) -> Any:
        close_memory()
        with guarded():
            return self._main(*args, **kwargs)

    def _main(self, *args: Any, **kwargs: Any) -> Any:
        as_json = "--json" in sys.argv
        try:
            # click would print a wrong option by itself, as text and as it was typed.
            kwargs["standalone_mode"] = False
            found = super().main(*args, **kwargs)
        except click.ClickException as error:
            ctx = getattr(error, "ctx", None)
            fix = f"{ctx.command_path if ctx else 'inalpha'} --help"
            fail(InalphaError("USAGE", error.format_message(), fix, exit_code=EXIT_USAGE), as_json)
        except click.Abort:
            fail(InalphaError("ABORTED", "nothing was confirmed."), as_json)
        except InalphaError as error:
            fail(error, as_json)
        except BrokenPipeError:
            # Nobody reads any more: what is still buffered has no place to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except Exception as error:
            from inalpha.ledger.troubles import told

            trouble = told(error, _folder_named())
            if trouble is None:
                show_trouble(error)
                sys.exit(EXIT_FAILURE)
            fail(trouble, as_json)
        sys.exit(found if isinstance(found, int) else 0)  # what ctx.exit() was given


def _folder_named() -> Path:
    """The home that this call was about, for a message alone."""
    named = [value for name, value in pairwise(sys.argv) if name == "--home"]
    return Home.at(named[-1] if named else None).root


def _show_version(ctx: click.Context, param: click.Parameter, asked: bool) -> None:
    """The release, and which verify.py its exports hold."""
    if not asked or ctx.resilient_parsing:
        return
    from inalpha.verifier.command import own_digest

    say(f"inalpha, version {__version__}")
    say(f"verify.py sha256 {own_digest()}")
    ctx.exit()


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", metavar="DIR", help="The installation; else INALPHA_HOME, else the XDG state folder.")
@click.option("--daemon", "as_daemon", is_flag=True, help="Run the supervisor in the foreground, headless.")
@click.option("--view", is_flag=True, help="The console without a key: read, and tighten.")
@click.option("--ascii", "as_ascii", is_flag=True, help="The console without block and braille glyphs.")
@click.option("--operator", metavar="NAME", help="The console with this operator's key, of several here.")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="This release, and the SHA-256 of its verify.py.",
)
@click.pass_context
def main(
    ctx: click.Context, home: str | None, as_daemon: bool, view: bool, as_ascii: bool, operator: str | None
) -> None:
    """Leave a model-written strategy trading overnight on a paper account, and prove what it did."""
    try:
        ctx.obj = Home.at(home)
    except ConfigError:  # nobody knows where this user lives; the verb may name a home of its own
        if as_daemon or ctx.invoked_subcommand is None:
            raise
        ctx.obj = None
    if as_daemon:
        if ctx.invoked_subcommand is not None:
            say("error: USAGE: --daemon takes no verb.", err=True)
            sys.exit(EXIT_USAGE)
        from inalpha.daemon.main import run_daemon

        sys.exit(run_daemon(ctx.obj))
    if ctx.invoked_subcommand is None:
        from inalpha.cli.console import open_console

        sys.exit(open_console(ctx.obj, view=view, as_ascii=as_ascii, operator=operator))


def folder_of(ctx: click.Context, override: str | None = None) -> Home:
    """The folder of this call, where it once was an installation: enough to halt it, whatever it lost since."""
    home = named_home(ctx, override)
    return home if home.is_traced else home_of(ctx, override)


def named_home(ctx: click.Context, override: str | None = None) -> Home:
    """The home that this call names, whatever is there."""
    home = Home.at(override) if override or ctx.obj is None else ctx.obj
    assert isinstance(home, Home)
    return home


def home_of(ctx: click.Context, override: str | None = None) -> Home:
    """The installation of this call; refuses when it was never made."""
    home = named_home(ctx, override)
    if not home.exists:
        if home.is_traced and not home.ledger.exists() and not home.making.exists():
            raise ConfigError(
                "NO_LEDGER",
                f"{home.ledger} is gone.",
                "Restore a backup: inalpha restore FILE. 'halt' and 'stop-daemon' work without it.",
            )
        raise ConfigError(
            "NO_HOME", f"{home.root} holds no installation.", f"Make one: inalpha --home {home.root} init"
        )
    return home
