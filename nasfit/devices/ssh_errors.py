"""What the ssh client's last words mean: one message that says what to do, and whether the board may come back."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nasfit.devices.ssh_address import SshAddress
from nasfit.errors import DeviceError, DeviceGone


@dataclass(frozen=True)
class _Meaning:
    """sign: found in the words. gone: whether waiting may help. told, fix: with places for the address's parts."""

    sign: str
    gone: bool
    told: str
    fix: str


# The first that fits is taken: a changed key also says that the verification failed.
_MEANINGS = (
    _Meaning(
        r"host identification has changed|host key .* has changed",
        False,
        "THE HOST KEY OF {at} HAS CHANGED: the board was set up anew, or someone is between it and this machine. "
        "nasfit sent nothing and goes no further",
        "if you know why it changed, and only then, forget the old key with: ssh-keygen -R '{known_as}' - then connect "
        "once by hand and compare the fingerprint: {by_hand}",
    ),
    _Meaning(
        r"host key verification failed|no .* host key is known",
        False,
        "the host key of {at} is not known here, and nasfit accepts none by itself",
        "connect once by hand, compare the fingerprint with the board's own (there: ssh-keygen -lf "
        "/etc/ssh/ssh_host_ed25519_key.pub) and say yes: {by_hand}",
    ),
    _Meaning(
        r"too many authentication failures",
        False,
        "{at} was offered too many keys",
        "name the right one for this host in ~/.ssh/config, with IdentityFile and IdentitiesOnly yes",
    ),
    _Meaning(
        r"permission denied",
        False,
        "{at} accepts none of your keys for this user, and nasfit asks for no password",
        "check the user's name, or put your key there with: {copy_id}",
    ),
    _Meaning(
        r"could not resolve hostname|name or service not known",
        False,
        "no host is called {host!r}",
        "check the spelling, or write the board's IP address (on the board: hostname -I)",
    ),
    _Meaning(
        r"connection refused",
        True,
        "{at} refuses the connection: its ssh server does not run or listens on another port",
        "on the board: sudo systemctl enable --now ssh",
    ),
    _Meaning(
        r"bad configuration option|bad owner or permissions|bad configuration",
        False,
        "the ssh configuration of this machine cannot be used to reach {at}",
        "try by hand: {by_hand}",
    ),
    _Meaning(
        r"timed out|no route to host|unreachable|host is down|not responding",
        True,
        "{at} does not answer: it is off, rebooting or in another network",
        "check its power and its network, then try by hand: {by_hand}",
    ),
    _Meaning(
        r"reset|closed|broken pipe|aborted|banner exchange",
        True,
        "the connection to {at} was cut",
        "check its power and its network, then try by hand: {by_hand}",
    ),
)
_ANYTHING = _Meaning("", True, "the connection to {at} is gone", "try by hand: {by_hand}")


def failed_step(error: DeviceError) -> str:
    """Which step of reaching a board an error of `connection_error` is about: "connection", "host key" or "key"."""
    text = str(error).partition("; ")[0].lower()
    if "host key" in text:
        return "host key"
    return "key" if re.search(r"accepts none of your keys|offered too many keys", text) else "connection"


def connection_error(address: SshAddress, said: str, *, reached_before: bool = False) -> DeviceError:
    """The error for a connection that ended or never came to be; its text is what is wrong, `; ` and what to do.

    said: standard error of the ssh client. reached_before: whether the address was reached earlier, so that its name is
    not misspelt. DeviceGone where waiting may help, DeviceError where the user has to do something.
    """
    meaning = next((found for found in _MEANINGS if re.search(found.sign, said, re.IGNORECASE)), _ANYTHING)
    parts = {
        "at": address,
        "host": address.host,
        "known_as": address.known_as,
        "by_hand": address.by_hand,
        "copy_id": address.by_hand.replace("ssh", "ssh-copy-id", 1),
    }
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = f" (ssh: {lines[-1]})" if lines else ""
    gone = meaning.gone or (reached_before and "resolve" in meaning.sign)
    kind = DeviceGone if gone else DeviceError
    return kind(f"{meaning.told.format(**parts)}{words}; {meaning.fix.format(**parts)}")
