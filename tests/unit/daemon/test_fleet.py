"""Which host a run has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inalpha.bus.topics import LOCAL_HOST
from inalpha.daemon.fleet import Fleet
from inalpha.model.errors import Refused


class Link:
    def __init__(self, host: str) -> None:
        self.host, self.is_open = host, False

    async def start(self) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False


def make_fleet(folder: Path) -> tuple[Fleet, Any]:
    local: Any = Link(LOCAL_HOST)
    return Fleet(local, lambda host, _: Link(host), folder / "orphans", folder / "bound"), local  # type: ignore[arg-type,return-value]


async def test_key_under_the_local_hosts_name_takes_nothing_from_it(tmp_path: Path) -> None:
    fleet, local = make_fleet(tmp_path)
    await fleet.enrolled({LOCAL_HOST: b"k" * 32, "host-barn": b"b" * 32})
    assert fleet._of("run-1") is local
    assert [link.host for link in fleet.remotes] == ["host-barn"]
    await fleet.enrolled({})
    assert (fleet._of("run-1"), fleet.remotes) == (local, [])


async def test_binding_outlives_a_restart_and_a_revoked_host_leaves_its_runs_to_the_local_one(
    tmp_path: Path,
) -> None:
    fleet, _ = make_fleet(tmp_path)
    await fleet.enrolled({"host-barn": b"b" * 32})
    fleet.bind("run-1", "barn")
    with pytest.raises(Refused, match="no host attic"):
        fleet.bind("run-2", "attic")
    again, local = make_fleet(tmp_path)
    await again.enrolled({"host-barn": b"b" * 32})
    assert again._of("run-1").host == "host-barn"
    barn = again.remotes[0]
    await again.enrolled({})
    assert again._of("run-1") is local
    assert not barn.is_open  # type: ignore[attr-defined]
