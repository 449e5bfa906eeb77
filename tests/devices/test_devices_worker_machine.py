"""What a machine tells about itself, on folders that look like those of real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nasfit.devices import worker
from nasfit.devices import worker_machine as machine

RAPL = "class/powercap/intel-rapl"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes system files."""
    monkeypatch.setattr(machine, "SYS", tmp_path)
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    return tmp_path


def write(folder: Path, **entries: object) -> None:
    for name, text in entries.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def test_nothing_known_is_none(files: Path) -> None:
    told = (machine.temperature_c(), machine.clock_mhz(0), machine.throttled(), machine.governor(0), machine.power())
    assert told == (None,) * 5
    assert (machine.throttle_count(), machine.package_energy_uj(), machine.joules_since({})) == (0, {}, None)
    assert (machine.memory_bytes("MemAvailable"), machine.peak_bytes()) == (None, None)


@pytest.mark.parametrize(
    ("khz", "threads", "expected"),
    [
        ([1800, 1800, 2400, 2400], 1, [3]),  # of equals the last
        ([2400, 1800, 1800, 1800], 1, [0]),  # the fastest, wherever it is
        ([2400, 2400, 1800, 1800], 2, [1, 0]),
        ([None, None, None, None], 1, [3]),
        ([None, None, None, None], 3, [3, 2, 1]),
    ],
)
def test_fastest_cores_are_taken(
    files: Path, monkeypatch: pytest.MonkeyPatch, khz: list[int | None], threads: int, expected: list[int]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    for core, top in enumerate(khz):
        if top is not None:
            write(files, **{f"devices__system__cpu__cpu{core}__cpufreq__cpuinfo_max_freq": top * 1000})
    assert machine.pick_cores(None, threads) == expected
    assert machine.pick_cores(2, 1) == [2]


def test_only_allowed_cores_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5})
    assert machine.pick_cores(None, 1) == [5]
    with pytest.raises(ValueError, match="core is 2; this process may use 1, 5"):
        machine.pick_cores(2, 1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.pick_cores(None, 1) == []
    with pytest.raises(ValueError, match="cannot pin"):
        machine.pick_cores(0, 1)


def test_names_of_processors(files: Path) -> None:
    write(files, proc__cpuinfo="processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9B14\n")
    assert machine.cpu_model() == "AMD EPYC 9B14"
    write(files, proc__cpuinfo="processor\t: 0\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n")
    assert machine.cpu_model() == "Raspberry Pi 5 Model B Rev 1.0"
    write(files, proc__cpuinfo="processor\t: 0\nmodel\t: 17", **{"proc__device-tree__model": "Radxa ROCK 5B\0"})
    assert machine.cpu_model() == "Radxa ROCK 5B"


def test_clock_and_governor(files: Path) -> None:
    write(files, proc__cpuinfo="processor: 0\ncpu MHz\t\t: 2600.5\nprocessor: 1\ncpu MHz\t\t: 1200.0\n")
    assert (machine.clock_mhz(0), machine.clock_mhz(1), machine.clock_mhz(2)) == (2600.5, 1200.0, None)
    folder = "devices__system__cpu__cpu1__cpufreq__"
    write(files, **{f"{folder}scaling_cur_freq": 1_500_000, f"{folder}scaling_governor": "ondemand"})
    assert (machine.clock_mhz(1), machine.governor(1)) == (1500.0, "ondemand")


def test_temperature_of_the_processor_comes_first(files: Path) -> None:
    write(files, class__thermal__thermal_zone0__type="acpitz", class__thermal__thermal_zone0__temp=93_000)
    assert machine.temperature_c() == 93.0
    write(files, class__thermal__thermal_zone1__type="x86_pkg_temp", class__thermal__thermal_zone1__temp=61_500)
    assert machine.temperature_c() == 61.5
    write(files, class__hwmon__hwmon2__name="coretemp", class__hwmon__hwmon2__temp1_input=64_000)
    write(files, class__hwmon__hwmon3__name="nvme", class__hwmon__hwmon3__temp1_input=80_000)
    write(files, class__thermal__thermal_zone2__type="cpu-broken", class__thermal__thermal_zone2__temp=-274_000)
    assert machine.temperature_c() == 64.0


def test_throttling_is_told(files: Path) -> None:
    flags = files / "devices/platform/soc/soc:firmware"
    write(flags, get_throttled="50000")  # happened, but not now
    assert machine.throttled() is None
    write(flags, get_throttled="50005")
    assert machine.throttled() == "the device says that its supply voltage is too low, it is throttled"
    write(flags, get_throttled="0")
    write(files, class__thermal__cooling_device0__type="pwm-fan", class__thermal__cooling_device0__cur_state=3)
    assert machine.throttled() is None
    write(files, class__thermal__cooling_device1__type="cpufreq-cpu0", class__thermal__cooling_device1__cur_state=2)
    assert machine.throttled() == "the device says that its clock is lowered to cool it (cpufreq-cpu0, level 2)"


def test_slowed_since_the_last_look(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "machine", machine)
    counter = "devices__system__cpu__cpu0__thermal_throttle__core_throttle_count"
    write(files, **{counter: 4})
    process = worker.Worker()
    assert process.state()["throttled"] is None
    write(files, **{counter: 5})
    assert process.state()["throttled"] == "the processor has slowed down for its heat"
    assert process.state()["throttled"] is None


def test_power(files: Path) -> None:
    write(files, class__power_supply__BAT0__type="Battery")
    assert machine.power() == "battery"
    write(files, class__power_supply__AC__type="Mains", class__power_supply__AC__online=1)
    assert machine.power() == "mains"


def test_energy_counts_packages_once_and_wraps(files: Path) -> None:
    write(files / f"{RAPL}:0", name="package-0", energy_uj=900_000, max_energy_range_uj=1_000_000)
    write(files / f"{RAPL}:1", name="package-1", energy_uj=100_000, max_energy_range_uj=1_000_000)
    write(files / f"{RAPL}:0:0", name="core", energy_uj=5, max_energy_range_uj=1_000_000)
    write(files / f"{RAPL}:2", name="psys", energy_uj=5, max_energy_range_uj=1_000_000)
    write(files / "class/powercap/intel-rapl-mmio:0", name="package-0", energy_uj=5, max_energy_range_uj=1_000_000)
    before = machine.package_energy_uj()
    assert len(before) == 2
    for name in (":0:0", ":2", "-mmio:0"):
        write(files / f"{RAPL}{name}", energy_uj=800_000)
    write(files / f"{RAPL}:0", energy_uj=200_000)
    write(files / f"{RAPL}:1", energy_uj=150_000)
    assert machine.joules_since(before) == pytest.approx(0.3 + 0.05)


def test_energy_that_this_user_may_not_read(files: Path) -> None:
    write(files / f"{RAPL}:0", name="package-0")
    assert machine.package_energy_uj() == {}


def test_energy_of_one_inference(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(files / f"{RAPL}:0", name="package-0", energy_uj=0, max_energy_range_uj=10**12)
    monkeypatch.setattr(worker, "machine", machine)
    monkeypatch.setattr(worker, "ENERGY_S", 0.02)
    monkeypatch.setattr(machine, "peak_bytes", lambda: 7)
    runs: list[int] = []

    class Net:
        def infer(self) -> None:
            runs.append(1)
            write(files / f"{RAPL}:0", energy_uj=2000 * len(runs))

    process = worker.Worker()
    monkeypatch.setattr(process, "loaded", lambda content: type("Loaded", (), {"net": Net()}))
    assert process.resources(None) == {"peak_bytes": 0, "energy_j": pytest.approx(0.002)}  # type: ignore[arg-type]
    assert len(runs) >= 2
