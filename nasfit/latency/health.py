"""Whether a device can be measured, what is in the way, and how far two runs on it differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nasfit.devices import Description, Device, State
from nasfit.errors import DeviceError, TrialFailure
from nasfit.latency.candidate import Candidate
from nasfit.latency.doubts import CLEAN_SHARE_WANTED, PROBE_FACTOR_WANTED
from nasfit.latency.measurement import NOISE_FLOOR, Measurement
from nasfit.latency.measuring import measure
from nasfit.latency.timing import DEFAULT, Timing

OK, WARNING, BAD = "ok", "warning", "bad"

BUSY_SHARE = 0.5
LEAST_MEMORY_MB = 500.0
LEAST_DISK_MB = 200.0
HOT_C = 85.0
# Beyond this, two networks have to differ by a fifth before a search could tell them apart.
UNUSABLE_SPREAD = 0.10
# Governors that hold one clock. Others follow the load, which a network of a millisecond is too short for.
STEADY_GOVERNORS = ("performance", "userspace")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. state: OK, WARNING or BAD. told: what was found. fix: what to do, empty where OK."""

    what: str
    state: str
    told: str
    fix: str = ""


@dataclass(frozen=True)
class Repeatability:
    """Several runs of the same networks, each in a fresh engine process.

    latencies_ms: network -> headline of each run. clean_share: of all samples. probe_factor: median over the runs, None
    where the device has no probe. failures: network -> why it gave no latency.
    """

    latencies_ms: dict[str, list[float]]
    clean_share: float
    probe_factor: float | None
    failures: dict[str, str]

    @property
    def spread(self) -> float:
        """Half the range over its middle, 0..1, of the network with the largest."""
        ranges = [(min(run), max(run)) for run in self.latencies_ms.values()]
        return max((high - low) / (high + low) for low, high in ranges)


def findings(description: Description, state: State, *, wants_realtime: bool = True) -> list[Finding]:
    """What a device says of itself, judged. wants_realtime: False where it was not asked for."""
    found = [Finding("engine", OK, description.engine)]
    if wants_realtime and description.threads == 1:
        found.append(_realtime(description))
    return [*found, _cores(description), _governor(description), _load(description), _heat(description, state)]


def _realtime(description: Description) -> Finding:
    if description.realtime:
        return Finding("real-time priority", OK, "granted")
    fix = (
        "add the line `USER - rtprio 1` to /etc/security/limits.conf and log in again; in a container, start it with "
        "--cap-add=SYS_NICE. Without it, thread CPU time still leaves out what other programs take"
    )
    if description.os.startswith("Android"):
        return Finding("real-time priority", OK, "Android grants none to adb; heat and other apps are watched instead")
    return Finding("real-time priority", WARNING, "not granted", fix)


def _cores(description: Description) -> Finding:
    pinned = "not pinned" if description.core is None else f"networks run on core {description.core}"
    told = f"{description.cores}, {pinned}"
    if description.cores == 1:
        return Finding("cores", WARNING, told, "the system shares the only core; keep everything else off the device")
    return Finding("cores", OK, told)


def _governor(description: Description) -> Finding:
    governor = description.governor
    if governor is None:
        return Finding("governor", OK, "the system does not tell what sets it")
    clock = "" if description.clock_mhz is None else f", {description.clock_mhz:.0f} MHz now"
    if governor in STEADY_GOVERNORS:
        return Finding("governor", OK, f"{governor}{clock}")
    fix = (
        "it follows the load; for steadier latencies run on the device: "
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    )
    if description.os.startswith("Android"):
        fix = "it follows the load, and only a rooted phone lets it be changed; expect a wider spread"
    return Finding("governor", WARNING, f"{governor}{clock}", fix)


def _load(description: Description) -> Finding:
    if description.load_average is None:
        return Finding("load", OK, "the device does not tell")
    told = f"{description.load_average:.1f} on {description.cores} cores"
    if description.load_average > BUSY_SHARE * description.cores:
        return Finding("load", WARNING, told, "other programs are running; end them for narrower intervals")
    return Finding("load", OK, told)


def _heat(description: Description, state: State) -> Finding:
    warmth = state.temperature_c if state.temperature_c is not None else description.temperature_c
    told = "temperature not told" if warmth is None else f"{warmth:.0f} C"
    if state.throttled:
        return Finding(
            "throttling", WARNING, f"{told}; {state.throttled}", "let it cool, improve its cooling or its supply"
        )
    if warmth is not None and warmth > HOT_C:
        return Finding("throttling", WARNING, told, "it is close to slowing down; let it cool")
    return Finding("throttling", OK, f"none, {told}")


def room(memory_mb: float | None, disk_mb: float | None, folder: str) -> list[Finding]:
    """Free memory and free disk of a device, 10^6 bytes; None where it does not tell. folder: where the disk counts."""
    return [
        _space("free memory", memory_mb, LEAST_MEMORY_MB, "end other programs"),
        _space("free disk", disk_mb, LEAST_DISK_MB, f"free some in {folder}"),
    ]


def _space(what: str, free_mb: float | None, least_mb: float, fix: str) -> Finding:
    if free_mb is None:
        return Finding(what, OK, "the device does not tell")
    if free_mb < least_mb:
        return Finding(what, WARNING, f"{free_mb:.0f} MB", f"{fix}; {least_mb:.0f} MB are enough for every network")
    return Finding(what, OK, f"{free_mb:,.0f} MB")


def repeatability(
    device: Device,
    models: Mapping[str, bytes | Candidate],
    *,
    runs: int = 6,
    timing: Timing = DEFAULT,
) -> Repeatability:
    """Measures the networks anew in `runs` fresh engine processes, 2 or more; about 4 s each.

    Raises DeviceError where the device does
    not answer or no network gives a latency in every run.
    """
    latencies: dict[str, list[float]] = {name: [] for name in models}
    failures: dict[str, str] = {}
    done: list[Measurement] = []
    for number in range(runs):
        left = {name: model for name, model in models.items() if name not in failures}
        # Another order each time, as another call would have.
        results = measure(device, left, timing=replace(timing, seed=timing.seed + number))
        failures |= {name: str(result) for name, result in results.items() if isinstance(result, TrialFailure)}
        for name, result in results.items():
            if isinstance(result, Measurement):
                latencies[name].append(result.latency_ms)
                done.append(result)
    if len(failures) == len(models):
        raise DeviceError(f"no network runs on {device.name}: {next(iter(failures.values()))}")
    factors = sorted(result.probe_factor for result in done if result.probe_factor is not None)
    return Repeatability(
        latencies_ms={name: values for name, values in latencies.items() if name not in failures},
        clean_share=sum(result.clean_share for result in done) / len(done),
        probe_factor=factors[len(factors) // 2] if factors else None,
        failures=failures,
    )


def judged(measured: Repeatability) -> list[Finding]:
    """Findings on a measurement; the spread is the last."""
    return [*_failures(measured), *_quiet(measured), _spread(measured)]


def _failures(measured: Repeatability) -> Iterator[Finding]:
    for name, reason in measured.failures.items():
        yield Finding(f"network {name}", BAD, reason, "try another engine, or another version of this one")


def _quiet(measured: Repeatability) -> Iterator[Finding]:
    told = f"{measured.clean_share:.0%} of the samples ran undisturbed"
    if measured.clean_share < CLEAN_SHARE_WANTED:
        yield Finding("contention", WARNING, told, "other programs or virtual machines are busy; quiet them, or wait")
    else:
        yield Finding("contention", OK, told)
    if measured.probe_factor is None:
        return
    told = f"x{measured.probe_factor:.2f} of its best within a run"
    if measured.probe_factor > PROBE_FACTOR_WANTED:
        fix = "neighbours on the memory are busy by turns; quiet them, or wait"
        yield Finding("memory probe", WARNING, told, fix)
    else:
        yield Finding("memory probe", OK, told)


def _spread(measured: Repeatability) -> Finding:
    runs = len(next(iter(measured.latencies_ms.values())))
    told = f"{runs} runs of a network lie within +-{measured.spread:.1%}"
    if measured.spread <= NOISE_FLOOR / 2:
        return Finding("spread between runs", OK, told)
    fix = "quiet the device; `nasfit measure` takes more samples than a search and finds quieter moments"
    return Finding("spread between runs", WARNING if measured.spread <= UNUSABLE_SPREAD else BAD, told, fix)


def usable(found: list[Finding]) -> bool:
    """Whether nothing is BAD."""
    return all(finding.state != BAD for finding in found)


def verdict(device: str, found: list[Finding], measured: Repeatability | None) -> str:
    """One line: the spread to expect, or what is in the way."""
    if not usable(found):
        bad = next(finding for finding in found if finding.state == BAD)
        return f"not usable: {bad.what}: {bad.told}"
    if measured is None:
        return f"{device} answers; nothing was measured"
    tie = max(NOISE_FLOOR, 2 * measured.spread)
    return (
        f"usable: expect +-{measured.spread:.1%} between runs on {device}; "
        f"networks closer than {tie:.0%} cannot be told apart"
    )
