"""A daemon on an external broker: TLS verified, own root topic, clear words for what is wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.installation import STRATEGIES, Installation, first_bars, inalpha
from support.tlsbroker import TlsBroker, make_ca, need_tools

from inalpha.bus import external
from inalpha.model.errors import ConfigError, TryAgain


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TlsBroker]:
    need_tools()
    home = Installation(tmp_path / "home")
    home.init()
    made = TlsBroker(home, tmp_path / "bus")
    made.start()
    yield made
    home.stop()
    made.stop()


def test_run_over_tls_fills_as_over_the_unix_socket(broker: TlsBroker, tmp_path: Path) -> None:
    home = broker.home
    home.start()
    presence = home.presence()
    assert presence["bus"]["root"] == f"inalpha/{presence['instance']}"
    assert (presence["broker"]["kind"], presence["broker"]["pid"]) == ("external", None)
    found = json.loads(inalpha(home.home, "doctor", "--json").stdout)["checks"]
    checks = {check["name"]: check for check in found}
    assert checks["broker"]["result"] == "ok" and "TLSv1" in checks["broker"]["detail"]
    run = home.run(
        home.promote(STRATEGIES / "fast_cross.py"), first_bars("GOOG-1d.csv", 60, tmp_path / "b.csv")
    )
    home("run", "wait", run, "--timeout", "60")
    assert home.json("run", "show", run)["bars"] == 60
    home("audit", "verify")


def tried(broker: TlsBroker, code: str, *, url: str = "", ca: Path | None = None, token: str = "") -> str:
    """What the probe says of a broker that is wrong in one way."""
    name = "host-selftest-a"
    good = external.token_of(broker.home.home / "bus", name)
    with pytest.raises((ConfigError, TryAgain)) as caught:
        asyncio.run(external.probe(url or broker.url, str(ca or broker.ca), name, token or good))
    assert caught.value.code == code
    assert caught.value.fix
    return caught.value.message


def test_wrong_broker_is_named_with_its_fix(broker: TlsBroker, tmp_path: Path) -> None:
    assert "not accepted" in tried(broker, "BUS_TLS", ca=make_ca(tmp_path / "other"))
    assert "not accepted" in tried(broker, "BUS_TLS", url=f"mqtts://localhost:{broker.port}")
    tried(broker, "BUS_CREDENTIALS", token="0" * 64)
    tried(broker, "BUS_CA", ca=tmp_path / "missing.pem")
    tried(broker, "BUS_UNREACHABLE", url="mqtts://127.0.0.1:1")
    tried(broker, "BUS_URL", url="mqtts://nowhere.invalid:1")


def test_daemon_does_not_start_on_a_broker_that_it_cannot_verify(broker: TlsBroker, tmp_path: Path) -> None:
    settings = broker.home.home / "inalpha.toml"
    settings.write_text(settings.read_text().replace(str(broker.ca), str(make_ca(tmp_path / "other"))))
    done = inalpha(broker.home.home, "--daemon")
    assert done.returncode == 78
    assert "BUS_TLS" in done.stderr
    assert broker.home.presence() == {}


def test_daemon_does_not_start_on_a_broker_without_the_acl(broker: TlsBroker) -> None:
    config = broker.files / "mosquitto.conf"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("acl_file")]
    config.write_text("\n".join(lines) + "\n")
    broker.stop()
    broker.start()
    done = inalpha(broker.home.home, "--daemon")
    assert done.returncode == 78
    assert "BUS_UNSOUND" in done.stderr and "publishes as another host" in done.stderr


def test_remote_host_says_whom_it_cannot_verify_and_never_logs_in(broker: TlsBroker, tmp_path: Path) -> None:
    broker.home.start()
    file = tmp_path / "barn.json"
    broker.home("host", "add", "barn", "--out", str(file))
    broker.export()
    bundle = json.loads(file.read_text())
    wrong = {
        "another CA": bundle | {"ca": make_ca(tmp_path / "other").read_text()},
        "another name": bundle | {"url": f"mqtts://localhost:{broker.port}"},
    }
    for what, changed in wrong.items():
        file.write_text(json.dumps(changed))
        host = subprocess.Popen(
            [sys.executable, "-m", "runners.host", "--name", "barn", "--credentials", str(file)],
            stderr=subprocess.PIPE,
        )
        try:
            assert host.stderr is not None
            said = host.stderr.readline().decode()
            assert "BUS_DOWN" in said and "certificate verify failed" in said, (what, said)
        finally:
            host.kill()
            host.communicate()
    log = (broker.folder / "mosquitto.log").read_text()
    assert "host-local" in log and "host-barn" not in log


def test_only_verified_tls_is_a_bus_url(broker: TlsBroker) -> None:
    settings = broker.home.home / "inalpha.toml"
    for url in ("mqtt://127.0.0.1", "mqtts://", "mqtts://user@host", "mqtts://h:99999", "mqtts://h/path"):
        settings.write_text(f'schema = 1\n[bus]\nurl = "{url}"\n')
        done = inalpha(broker.home.home, "--daemon")
        assert (done.returncode, "bus.url" in done.stderr) == (78, True), url


def test_exported_files_are_private_and_hold_no_token(broker: TlsBroker) -> None:
    names = ("passwd", "acl", "mosquitto.conf")
    tokens = [path.read_text() for path in (broker.home.home / "bus").glob("*.token")]
    assert len(tokens) > 60
    for name in names:
        text = (broker.files / name).read_text()
        assert not any(token in text for token in tokens)
    assert (broker.files / "passwd").stat().st_mode & 0o777 == 0o600
    assert {p.stat().st_mode & 0o777 for p in (broker.home.home / "bus").iterdir()} == {0o600}
