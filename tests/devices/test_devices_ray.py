"""A device at a node of a Ray cluster, both on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasfit.devices import check_device, open_device
from nasfit.errors import DeviceGone, MissingExtraError, TrialFailure, UnknownNameError, UsageError
from nasfit.workers import RayPool

INPUT_BCHW = np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8) / 192


@pytest.fixture
def joined(cluster: Any) -> Iterator[Any]:
    """The cluster that this process belongs to for now, with a node that has a device."""
    node = cluster.add_node(num_cpus=0, resources={"device:here": 1})
    with closing(RayPool(cluster.address)):
        yield cluster
    if node in cluster.worker_nodes:
        cluster.remove_node(node)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_keeps_the_contract(joined: Any, doubling_tflite_bytes: bytes) -> None:
    device = open_device("ray:here")
    check_device(device, doubling_tflite_bytes, INPUT_BCHW, 2 * INPUT_BCHW)
    assert device.describe().device.startswith("ray:here: ") and device.model_format == "tflite"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_errors_of_the_other_side_are_raised_on_this(joined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.devices.ray_device.START_S", 5.0)
    with pytest.raises(UnknownNameError, match=r"unknown device 'locl'; did you mean"):
        open_device("ray:here/locl").describe()
    with pytest.raises(DeviceGone, match=r"no machine of the cluster offers 'device:there'.*ray start"):
        open_device("ray:there").describe()
    device = open_device("ray:here")
    with device.open() as session, pytest.raises(TrialFailure):
        session.load("bad", b"no network")
    # One measures on it at a time.
    with pytest.raises(DeviceGone, match="or another search has it"):
        open_device("ray:here").describe()


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(300)
def test_a_lost_machine_is_gone_until_another_offers_the_device(
    joined: Any, doubling_tflite_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasfit.devices.ray_device.START_S", 20.0)
    device = open_device("ray:here")
    with pytest.raises(DeviceGone, match="was lost"), device.open() as session:
        session.load("a", doubling_tflite_bytes)
        node = next(one for one in joined.worker_nodes if (one._ray_params.resources or {}).get("device:here"))
        joined.remove_node(node, allow_graceful=False)
        # Its processes may outlive it by a moment.
        for _ in range(100):
            session.sample("a", warm=0, runs=1)
            time.sleep(0.1)
    other = joined.add_node(num_cpus=0, resources={"device:here": 1})
    with device.open() as session:
        session.load("a", doubling_tflite_bytes)
        assert session.sample("a", warm=0, runs=1).wall_ms > 0
    joined.remove_node(other)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_search_trains_on_the_cluster_and_measures_there(
    cluster: Any, small_search: list[str], tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=0, resources={"device:here": 1})
    command = [*small_search, "--ray", cluster.address, "--device", "ray:here", "--study", str(tmp_path / "study")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300)
    cluster.remove_node(node)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["conditions"]["device"].startswith("ray:here: ")


def test_without_a_cluster_or_a_label_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    for name in ("ray:", "ray:/adb", "ray:pixel6/ray:other"):
        with pytest.raises(UsageError, match="ray:pixel6/adb"):
            open_device(name)
    with pytest.raises(UsageError, match="name the cluster with --ray"):
        open_device("ray:pixel6")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[ray\]"):
        open_device("ray:pixel6")
