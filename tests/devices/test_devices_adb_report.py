"""What phones and `benchmark_model` say, read back: texts as they are printed, and texts that say less or nonsense."""

from __future__ import annotations

import subprocess

import pytest

from nasfit.devices.adb_report import NetworkFault, benchmark_command, read_report
from nasfit.devices.adb_state import (
    IDENTITY_COMMANDS,
    mean_milliwatts,
    question,
    read_identity,
    read_state,
    sections,
    state_commands,
)
from nasfit.errors import DeviceError

# As printed on an Android phone (version with percentiles), and by the version before log levels were printed.
NEW = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [25]
INFO: Num threads: [1]
INFO: Graph: [/data/local/tmp/net.tflite]
INFO: Loaded model /data/local/tmp/net.tflite
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.
INFO: The input model file size (MB): 3.06409
INFO: Initialized session in 92.318ms.
INFO: Running benchmark for at least 3 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=3 first=235158 curr=200386 min=199462 max=235158 avg=211669 std=16613 p5=199462 median=200386 p95=235158

INFO: Running benchmark for at least 25 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187533

INFO: Inference timings in us: Init: 92318, First inference: 235158, Warmup (avg): 211669, Inference (avg): 145528
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual.
INFO: Memory footprint delta from the start of the tool (MB): init=54.2852 overall=73.4102
"""
OLD = """STARTING!
Duplicate flags: num_threads
Min num runs: [50]
Loaded model quicknet.tflite
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=12 first=156677 curr=33205 min=32578 max=156677 avg=43268.1 std=34197

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=33228 curr=33130 min=32687 max=33239 avg=33071.8 std=129

Inference timings in us: Init: 3501, First inference: 156677, Warmup (avg): 43268.1, Inference (avg): 33071.8
"""


def test_reports_of_two_versions() -> None:
    new, old = read_report(0, NEW), read_report(0, OLD)
    assert (new.runs, new.mean_ms, new.least_ms, new.most_ms) == (25, 145.528, 140.071, 195.121)
    assert new.peak_memory_mb == pytest.approx(73.4102 * 1.048576)
    assert (old.runs, old.mean_ms, old.least_ms, old.most_ms) == (50, 33.0718, 32.687, 33.239)
    assert old.peak_memory_mb is None


@pytest.mark.parametrize(
    ("statistics", "mean", "runs", "mean_ms", "least_ms"),
    [
        ("count=1 curr=9992420", "9.99242e+06", 1, 9992.42, 9992.42),
        ("count=3 curr=700(all same)", "700", 3, 0.7, 0.7),
        ("count=0\n\ncount=2 first=3 curr=2 min=2 max=3 avg=2.5 std=0", "2.5", 2, 0.0025, 0.002),
    ],
)
def test_odd_statistics(statistics: str, mean: str, runs: int, mean_ms: float, least_ms: float) -> None:
    summary = f"Inference timings in us: Init: 1, First inference: 0, Warmup (avg): -nan, Inference (avg): {mean}"
    report = read_report(0, f"{statistics}\n{summary}")
    assert (report.runs, report.mean_ms, report.least_ms) == (runs, pytest.approx(mean_ms), pytest.approx(least_ms))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "INFO: STARTING!",
        NEW.replace("145528", "nan"),
        NEW.replace("(avg): 145528", "(avg): 0"),
        NEW[: NEW.index("INFO: I")],
    ],
)
def test_reports_that_say_nothing(text: str) -> None:
    with pytest.raises(NetworkFault, match="unreadable report"):
        read_report(0, text)


@pytest.mark.parametrize(
    ("code", "text", "error", "certain"),
    [
        (1, "ERROR: Failed to load model /x.tflite\nERROR: Benchmarking failed.", NetworkFault, True),
        (134, "Cannot find the corresponding input_layer name(image)\nAborted", NetworkFault, False),
        (139, "", NetworkFault, False),
        (137, "Killed", NetworkFault, False),
        (126, "/data/local/tmp/b: not executable: 64-bit ELF file", DeviceError, None),
        (127, "sh: taskset: inaccessible or not found", DeviceError, None),
        (1, 'CANNOT LINK EXECUTABLE "b": library "liblog.so" not found', DeviceError, None),
        (1, "taskset: failed to set pid 123's affinity: Invalid argument", DeviceError, None),
    ],
)
def test_failures_name_the_guilty(code: int, text: str, error: type[Exception], certain: bool | None) -> None:
    with pytest.raises(error) as told:
        read_report(code, text)
    assert ("CPU core" in str(told.value)) == ("affinity" in text)
    if isinstance(told.value, NetworkFault):
        assert told.value.certain is certain
        assert text.splitlines()[-1:] == [] or text.splitlines()[-1] in str(told.value)


def test_arguments_reach_the_program_as_they_are(tmp_path: object) -> None:
    """Whatever a path holds, the phone's shells make one argument of it."""
    nasty = ["--graph=/a b/$(echo no)'\"`;&|", "--x=*"]
    line = benchmark_command("printf '%s\\n'", nasty, mask=0xC0, pid_file=f"{tmp_path}/a pid")
    line = line.replace("taskset c0 ", "printf %s\\\\n c0 ")
    told = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["c0", "printf '%s\\n'", *nasty]


# --- the phone -------------------------------------------------------------------------------------------------------


def answer(**parts: str) -> str:
    return "".join(f"nasfit-section:{name}\n{text}\n" for name, text in parts.items())


def test_several_commands_in_one_line() -> None:
    line = question({"one": "echo first; echo second", "none": "cat /absent/file", "last": "printf end"})
    output = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert sections(output) == {"one": "first\nsecond", "none": "", "last": "end"}
    assert list(sections(answer(**dict.fromkeys([*IDENTITY_COMMANDS, *state_commands(3)], "x")))) == [
        *IDENTITY_COMMANDS,
        *state_commands(3),
    ]


def identity(cores: str = "0-7", fastest: str = "", **properties: str) -> str:
    known = {"ro.product.model": "Phone", **{key.replace("__", "."): value for key, value in properties.items()}}
    listed = "\n".join(f"[{key}]: [{value}]" for key, value in known.items())
    return answer(properties=listed, online=cores, fastest=fastest, governor="", memory="")


@pytest.mark.parametrize(
    ("cores", "clocks", "count", "chosen"),
    [
        ("0-7", {0: 1800, 4: 2400, 7: 2900}, 1, [7]),
        ("0-7", {6: 2900, 7: 2900, 5: 2900}, 1, [7]),
        ("0-3", {0: 2900, 3: 1800}, 1, [0]),
        ("0-5,7", {6: 3000, 7: 2900, 5: 2500}, 2, [7, 5]),
        ("0-3", {}, 1, [3]),
        ("2", {}, 1, [2]),
        ("", {}, 1, [0]),
    ],
)
def test_the_fastest_cores_online(cores: str, clocks: dict[int, int], count: int, chosen: list[int]) -> None:
    files = "\n".join(
        f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq:{mhz * 1000}" for core, mhz in clocks.items()
    )
    told = read_identity(identity(cores, files), "S")
    # A core that is not online may still tell its clock.
    assert told.fastest_cores(count) == chosen


@pytest.mark.parametrize(
    ("properties", "soc"),
    [
        ({"ro__soc__manufacturer": "QTI", "ro__soc__model": "SM8550", "ro__board__platform": "kalama"}, "QTI SM8550"),
        ({"ro__board__platform": "msm8953", "ro__hardware": "qcom"}, "msm8953"),
        ({"ro__hardware": "qcom"}, "qcom"),
        ({}, "SoC unknown"),
    ],
)
def test_name_of_the_soc(properties: dict[str, str], soc: str) -> None:
    assert read_identity(identity(**properties), "S").soc == soc


def test_what_is_no_phone() -> None:
    with pytest.raises(DeviceError, match="tells no model"):
        read_identity("sh: getprop: not found", "S")


def test_state_from_texts_of_real_phones() -> None:
    thermal = """IsStatusOverride: false
Thermal Status: 3
Cached temperatures:
\tTemperature{mValue=88.0, mType=0, mName=AP, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=25.6, mType=0, mName=AP, mStatus=0}
\tTemperature{mValue=23.8, mType=2, mName=BAT, mStatus=0}
\tTemperature{mValue=33.8, mType=3, mName=SKIN, mStatus=0}
Current cooling devices from HAL:"""
    battery = """Current Battery Service state:
  AC powered: false
  USB powered: false
  Wireless powered: true
  Dock powered: false
  Max charging current: 0
  Charge counter: 812000
  status: 2
  level: 19
  voltage: 3972
  temperature: 357
  technology: Li-ion"""
    screen = "  mWakefulness=Dozing\nDisplay Power: state=DOZE"
    state = read_state(answer(battery=battery, thermal=thermal, screen=screen, clock="1804800", load="3.5 2 1 2/3 4"))
    assert (state.battery_c, state.processor_c, state.thermal_status) == (35.7, 25.6, 3)
    assert (state.powered_by, state.screen_on, state.clock_mhz, state.load_average) == ("Wireless", False, 1804.8, 3.5)
    assert state.battery_volts == 3.972
    assert state.power() == "screen off, charging (Wireless)"


@pytest.mark.parametrize(("status", "tenths", "hot"), [(1, 419, False), (2, 300, True), (0, 421, True), (9, 300, True)])
def test_hot_from_moderate_or_above_the_limit(status: int, tenths: int, hot: bool) -> None:
    state = read_state(answer(battery=f"  temperature: {tenths}", thermal=f"Thermal Status: {status}"))
    assert bool(state.heat(42.0)) is hot


def test_mean_power() -> None:
    output = "INFO: x\nnasfit-power -200000 4000000\nnasfit-power -400000 4000000\nnasfit-power  4000000\n"
    assert mean_milliwatts(output, None) == pytest.approx(1200)
    assert mean_milliwatts("nasfit-power 300 \n", 4.0) == pytest.approx(1200)
    assert mean_milliwatts("nasfit-power 300 \n", None) is None
    assert mean_milliwatts("nasfit-power  \n", 4.0) is None
