"""Numbers as readers want them: units, signs, enough digits and no more."""

from __future__ import annotations

import math

MINUS = "−"


def percent(accuracy: float | None) -> str:
    """An accuracy of 0..1 in percent, two decimals."""
    return "–" if accuracy is None else f"{100 * accuracy:.2f} %"


def share(part: float) -> str:
    """A share of 0..1 in whole percent."""
    return f"{100 * part:.0f} %"


def points(difference: float) -> str:
    """A difference of accuracies (0..1) in percentage points, with its sign."""
    text = f"{100 * abs(difference):.2f} points"
    if text.startswith("0.00 "):
        return text
    return ("+" if difference > 0 else MINUS) + text


def digits(value: float, more: int = 0) -> str:
    """Three significant digits (and `more`) without an exponent, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, 2 - math.floor(math.log10(abs(value))) + more)
    return f"{value:,.{places}f}"


def ms(value: float | None) -> str:
    """A latency in milliseconds."""
    return "–" if value is None else f"{digits(value)} ms"


def interval(low_ms: float, high_ms: float) -> str:
    """Both ends of a latency's interval, one digit more than the latency itself."""
    return f"{digits(low_ms, 1)} to {digits(high_ms, 1)} ms"


def value(number: float | None) -> str:
    """A reward: four decimals."""
    return "–" if number is None else f"{number:.4f}".replace("-", MINUS)


def millions(number: int) -> str:
    """A count of parameters or multiply-adds in millions."""
    return f"{digits(number / 1e6)} M"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `45 s`, `3 min 20 s` or `2 h 05 min`."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(number: int, what: str, many: str | None = None) -> str:
    """`1 trial`, `2,000 trials`. many: the plural, where it is not `what` and an s."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"
