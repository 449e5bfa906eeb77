"""A phone that is not there: a folder as its storage, a real shell, scripts as its commands, faults on demand.

It answers the services of an Android phone (`shell:`, `shell,v2:`, `sync:`); `adb_server.py` and `adb_daemon.py` bring
them to clients in two ways. Paths on the phone are rewritten to the folder before the shell sees them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

BENCHMARK = Path(__file__).with_name("adb_benchmark_model.py")
ARM64_BINARY = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, 183) + b"fake benchmark_model" * 50
PROPERTIES = {
    "ro.product.manufacturer": "Acme",
    "ro.product.model": "Phone 9",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
    "ro.soc.manufacturer": "Acme",
    "ro.soc.model": "S900",
    "ro.build.version.release": "14",
    "ro.serialno": "SECRET1234567",
    "sys.boot_completed": "1",
}
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 3021000
  status: {status}
  level: 80
  scale: 100
  voltage: 4100
  temperature: {tenths}
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=99.0, mType=0, mName=CPU0, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue=41.5, mType=0, mName=CPU0, mStatus=0}}
\tTemperature{{mValue=43.5, mType=0, mName=CPU7, mStatus=0}}
\tTemperature{{mValue=31.0, mType=2, mName=BAT, mStatus=0}}
Current cooling devices from HAL:
"""
SCRIPTS = {
    "getprop": """if [ $# = 0 ]; then sed 's/^\\([^=]*\\)=\\(.*\\)$/[\\1]: [\\2]/' $PHONE/properties
else sed -n "s/^$1=//p" $PHONE/properties; fi""",
    "dumpsys": "cat $PHONE/dumpsys/$1",
    # The pushed program is only looked at; what runs is the script.
    "taskset": f"""echo "$@" >> $PHONE/taskset-calls; shift; exec {sys.executable} -I {BENCHMARK} "$@" """,
}


class Stream(Protocol):
    """One connection to a service. `read` answers fewer bytes at its end."""

    def read(self, count: int) -> bytes: ...

    def write(self, content: bytes) -> None: ...

    def close(self) -> None: ...


class FakePhone:
    """A phone of 8 cores, the last two the fastest. `state` is what `adb devices` shows, None while it is away."""

    def __init__(self, root: Path, serial: str = "SECRET1234567") -> None:
        self.root = root
        self.serial = serial
        self.state: str | None = "device"
        self.features: str | None = "shell_v2,cmd"
        self.free_bytes: int | None = None
        self.lines: list[str] = []
        self.on_line: Callable[[str], None] = lambda line: None
        self._streams: set[Stream] = set()
        self._processes: list[subprocess.Popen[bytes]] = []
        for folder in ("bin", "dumpsys", "data/local/tmp", "proc", "sys/class/power_supply/battery"):
            (root / folder).mkdir(parents=True)
        for name, script in SCRIPTS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (root / "bin" / name).chmod(0o755)
        self.tell()
        self.benchmark("canned")
        self.set_property()
        for core in range(8):
            folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
            folder.mkdir(parents=True)
            (folder / "cpuinfo_max_freq").write_text(f"{2850000 if core > 5 else 1800000}\n")
            (folder / "scaling_cur_freq").write_text(f"{2400000 if core > 5 else 600000}\n")
            (folder / "scaling_governor").write_text("schedutil\n")
        (root / "sys/devices/system/cpu/online").write_text("0-7\n")
        (root / "proc/meminfo").write_text("MemTotal:        8000000 kB\nMemFree: 1 kB\n")
        (root / "proc/loadavg").write_text("1.25 0.50 0.25 1/999 4242\n")
        (root / "dumpsys/power").write_text("  mWakefulness=Asleep\nDisplay Power: state=OFF\n")

    # --- what it is made to say and do -------------------------------------------------------------------------------

    def tell(self, *, thermal: int = 0, tenths: int = 310, charging: bool = True) -> None:
        battery = BATTERY.format(usb=str(charging).lower(), status=2 if charging else 3, tenths=tenths)
        (self.root / "dumpsys/battery").write_text(battery)
        (self.root / "dumpsys/thermalservice").write_text(THERMAL.format(status=thermal))

    def set_property(self, **changed: str) -> None:
        """Keyword `sys__boot_completed` stands for sys.boot_completed."""
        properties = {**PROPERTIES, **{key.replace("__", "."): value for key, value in changed.items()}}
        (self.root / "properties").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))

    def benchmark(self, mode: str) -> None:
        """How its `benchmark_model` behaves from now on, see adb_benchmark_model.py."""
        (self.root / "benchmark-mode").write_text(mode)

    def draws(self, microamperes: int, microvolts: int | None) -> None:
        battery = self.root / "sys/class/power_supply/battery"
        (battery / "current_now").write_text(f"{microamperes}\n")
        if microvolts is not None:
            (battery / "voltage_now").write_text(f"{microvolts}\n")

    def unplug(self) -> None:
        self.state = None
        for stream in list(self._streams):
            stream.close()

    def stop(self) -> None:
        self.unplug()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stored(self) -> list[str]:
        """Paths of the files in its folder for data, sorted."""
        folder = self.root / "data/local/tmp"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    # --- services ----------------------------------------------------------------------------------------------------

    def serve(self, service: str, stream: Stream) -> None:
        """Answer one service to its end."""
        self._streams.add(stream)
        try:
            if service.startswith("shell,v2"):
                self._shell(service.partition(":")[2], stream, packets=True)
            elif service.startswith("shell:"):
                self._shell(service.partition(":")[2], stream, packets=False)
            elif service == "sync:":
                self._sync(stream)
        except (OSError, ValueError):
            pass  # the client, or the fault that was asked for, closed the connection
        finally:
            self._streams.discard(stream)
            stream.close()

    def local(self, text: str) -> str:
        for start in ("/data/local/tmp", "/sys/", "/proc/"):
            text = text.replace(start, f"{self.root}{start}")
        return text

    def _shell(self, line: str, stream: Stream, *, packets: bool) -> None:
        self.lines.append(line)
        self.on_line(line)
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "PHONE": str(self.root)}
        process = subprocess.Popen(
            ["/bin/sh", "-c", self.local(line)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        self._processes.append(process)
        assert process.stdout is not None
        while part := os.read(process.stdout.fileno(), 65536):
            stream.write(struct.pack("<BI", 1, len(part)) + part if packets else part.replace(b"\n", b"\r\n"))
        code = process.wait()
        if packets:
            stream.write(struct.pack("<BIB", 3, 1, code if code >= 0 else 128 - code))

    def _sync(self, stream: Stream) -> None:
        while True:
            kind, size = stream.read(4), struct.unpack("<I", stream.read(4))[0]
            if kind == b"SEND":
                self._receive(stream.read(size).decode(), stream)
            elif kind == b"RECV":
                self._send(stream.read(size).decode(), stream)
            else:
                return

    def _receive(self, target: str, stream: Stream) -> None:
        path, _, mode = target.rpartition(",")
        content = bytearray()
        while True:
            kind, number = stream.read(4), struct.unpack("<I", stream.read(4))[0]
            if kind == b"DONE":
                break
            content += stream.read(number)
            if self.free_bytes is not None and len(content) > self.free_bytes:
                # As adbd: the reason at once, then the connection ends while the client may still be sending.
                reason = b"couldn't write file: No space left on device"
                stream.write(b"FAIL" + struct.pack("<I", len(reason)) + reason)
                raise OSError("full")
        file = Path(self.local(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(int(mode) & 0o777)
        stream.write(b"OKAY" + bytes(4))

    def _send(self, path: str, stream: Stream) -> None:
        file = Path(self.local(path))
        if not file.is_file():
            reason = b"open failed: No such file or directory"
            stream.write(b"FAIL" + struct.pack("<I", len(reason)) + reason)
            return
        content = file.read_bytes()
        for start in range(0, len(content), 65536):
            chunk = content[start : start + 65536]
            stream.write(b"DATA" + struct.pack("<I", len(chunk)) + chunk)
        stream.write(b"DONE" + bytes(4))


def in_background(step: Callable[[], None], after_s: float) -> None:
    """Let something happen to the phone a moment later."""
    timer = threading.Timer(after_s, step)
    timer.daemon = True
    timer.start()
