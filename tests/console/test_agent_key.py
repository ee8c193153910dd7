"""The console with an operator whose key lives in ssh-agent: a real agent, a real daemon, no passphrase asked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, until

from inalpha.model.home import Home
from tui import acts
from tui.app import ConsoleApp
from tui.dialogs.forms import UnlockPanel

pytestmark = pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="needs ssh-agent")


async def test_a_plan_is_approved_by_a_key_in_ssh_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, sock = Installation(tmp_path / "home"), tmp_path / "agent.sock"
    home.init()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(sock))
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alice", "-f", str(tmp_path / "id")]
        subprocess.run(make, check=True)
        until(sock.exists, what="the agent")
        subprocess.run(["ssh-add", "-q", str(tmp_path / "id")], check=True)
        home.start()
        home("operator", "add", "bob", "--role", "owner", "--ssh-agent", "alice", "--operator", "alice")
        home("account", "open", "bob", "--operator", "alice")
        home("agent", "add", "claude", "--operator", "bob")
        few = first_bars("GOOG-1d.csv", 320, tmp_path / "gate.csv")
        found = home.json("candidate", "submit", str(STRATEGIES / "fast_cross.py"), "--agent", "claude",
                          "--rationale", "a test of its sponsor", "--bars", str(few))  # fmt: skip
        home("candidate", "promote", found["candidate"], "--reason", "read it", "--operator", "bob")
        bars = first_bars("GOOG-1d.csv", 120, tmp_path / "a.csv")
        run = home.run(found["candidate"], bars, "max", "GOOG", "--approval", "human", "--operator", "bob")
        until(lambda: home.items("plan", "list", "--state", "pending"), what="a plan")

        app = ConsoleApp(Home.at(home.home), operator="bob")
        async with app.run_test(size=(120, 40)) as pilot:

            async def shows(what: Callable[[], object]) -> None:
                for _ in range(600):
                    if what():
                        return
                    await pilot.pause(0.02)
                raise AssertionError("the console did not get there")

            await shows(lambda: app.store.book.pending and app.store.bus.is_up)
            assert app.session.handle == "bob" and app.session.why_not == "locked: U unlocks"
            await pilot.press("U")
            await shows(lambda: app.session.key is not None)
            assert not isinstance(app.screen, UnlockPanel)
            plan = app.store.book.pending[0]
            who = app.session.key
            assert who is not None
            signing = acts.approve(app.home, app.link, who, plan["plan"], plan["digest"])
            said = await app.run_worker(signing).wait()
            assert said[1] == "good", said
            app.session.lock()
            subprocess.run(["ssh-add", "-q", "-D"], check=True)
            await pilot.press("U")
            await shows(lambda: "does not hold" in (app.said() or ("",))[0])
            assert app.session.key is None
        decided = [item for item in home.items("plan", "list") if item["plan"] == plan["plan"]]
        assert decided[0]["approved_by"] == "op:bob", (run, decided)
        home("audit", "verify", "--no-exec")
    finally:
        home.stop()
        agent.terminate()
        agent.wait()
