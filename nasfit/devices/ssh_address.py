"""Addresses of boards: `ssh://[user@]host[:port]`, and the hosts that the user's ssh configuration names."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from nasfit.errors import UsageError

SCHEME = "ssh://"
# No leading '-': ssh would read it as an option. Nothing a shell or a ProxyCommand of the user could expand.
_USER = r"(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)"
_HOST = r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))"
_ADDRESS = re.compile(rf"ssh://(?:{_USER}@)?{_HOST}(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_CONFIGURATION = Path("~/.ssh/config")


@dataclass(frozen=True)
class SshAddress:
    """Where a board is. host: name, alias of the ssh configuration or IP address; IPv6 without brackets.

    user, port: None leaves them to the ssh configuration.
    """

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{self.destination.removesuffix(self.host)}{host}" + (f":{self.port}" if self.port else "")

    @property
    def destination(self) -> str:
        """`user@host` or `host`, as the ssh command takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def arguments(self) -> list[str]:
        """What the ssh command needs to go there: an optional port and, after `--`, the destination."""
        return [*(["-p", str(self.port)] if self.port else []), "--", self.destination]

    @property
    def by_hand(self) -> str:
        """The command a person types to go there."""
        return " ".join(["ssh", *(["-p", str(self.port)] if self.port else []), self.destination])

    @property
    def known_as(self) -> str:
        """The name under which known_hosts keeps the key where the configuration does not change it."""
        return f"[{self.host}]:{self.port}" if self.port not in (None, 22) else self.host


def parse_address(text: str) -> SshAddress:
    """The address in `ssh://[user@]host[:port]`. Raises UsageError with an example for anything else."""
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 1 <= port <= 65535):
        raise UsageError(
            f"{text!r} is no address of a board; write ssh://[user@]host[:port] with a port of 1 to 65535, "
            "for example ssh://pi@raspberrypi.local, ssh://pi@192.168.1.20:2222 or ssh://pi@[fe80::1%eth0]:22"
        )
    return SshAddress(found["ipv6"] or found["host"], found["user"], port)


def ssh_hosts(configuration: Path = _CONFIGURATION) -> list[str]:
    """Hosts that the user's ssh configuration names, in its order: no patterns, no `Include`d or unreadable files."""
    try:
        lines = configuration.expanduser().read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, RuntimeError):
        return []
    names = [name for line in lines for name in _names(line) if re.fullmatch(_HOST, name)]
    return list(dict.fromkeys(names))


def _names(line: str) -> list[str]:
    """Names on a `Host` line; a keyword may be followed by spaces or by `=`."""
    keyword, _, rest = re.sub(r"^\s*(\w+)\s*=?\s*", r"\1 ", line).partition(" ")
    if keyword.lower() != "host":
        return []
    try:
        return shlex.split(rest, comments=True)
    except ValueError:
        return []
