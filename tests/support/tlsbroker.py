"""An external mosquitto with TLS, as an operator sets one up from `inalpha bus export`, and a test CA."""

from __future__ import annotations

import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inalpha.bus.start import find_mosquitto
from support.installation import Installation, until

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def need_tools(*names: str) -> None:
    """Skip where the machine has no mosquitto, openssl or one of names."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    for name in ("openssl", *names):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")


def make_ca(folder: Path) -> Path:
    """ca.pem and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    _openssl(folder, "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
             "-subj", "/CN=test ca", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    return folder / "ca.pem"


def make_certificate(folder: Path, target: Path, names: str) -> None:
    """server.crt and server.key in target. names: as of subjectAltName, such as IP:127.0.0.1."""
    (folder / "ext").write_text(
        f"subjectAltName={names}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    _openssl(
        folder, "req", *EC, "-keyout", str(target / "server.key"), "-out", "server.csr", "-subj", "/CN=bus"
    )
    _openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
             "-CAcreateserial", "-extfile", "ext", "-out", str(target / "server.crt"))  # fmt: skip


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


@dataclass
class TlsBroker:
    """mosquitto on address:port over the exported files of a home."""

    home: Installation
    folder: Path
    address: str = "127.0.0.1"
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.ca = make_ca(self.folder / "ca")
        self.files = self.folder / "broker"
        settings = self.home.home / "inalpha.toml"
        text = settings.read_text().replace("[bus]\n", f'[bus]\nurl = "{self.url}"\nca = "{self.ca}"\n', 1)
        settings.write_text(text)
        self.export()
        make_certificate(self.folder / "ca", self.files, f"IP:{self.address}")

    @property
    def url(self) -> str:
        return f"mqtts://{self.address}:{self.port}"

    def export(self) -> None:
        """The operator copies the files anew and tells the broker."""
        self.home("bus", "export", str(self.files))
        config = self.files / "mosquitto.conf"
        text = config.read_text().replace("listener 8883", f"listener {self.port} {self.address}")
        config.write_text(
            "user root\n" + text
        )  # as root it would change to a user who may not read our folder
        if self.process is not None:
            self.process.send_signal(1)

    def start(self) -> None:
        binary = find_mosquitto()
        assert binary is not None
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary, "-c", str(self.files / "mosquitto.conf")], stdout=log, stderr=log
            )
        until(self._listens, what="mosquitto")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
