"""What the checkers of the extension points have in common: a promise that is broken, told in one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nasfit.errors import NasfitError


@dataclass(frozen=True)
class Contract:
    """Whose promises are checked.

    party: who gave them, `the device` for example. error: what to raise where one is broken.
    """

    party: str
    error: type[NasfitError]

    def require(self, holds: bool, promise: str) -> None:
        """Raises the contract's error, naming the promise, unless it holds."""
        if not holds:
            raise self.broken(promise)

    def require_raises(
        self, kind: type[NasfitError], case: str, call: Callable[..., object], *arguments: object, **named: object
    ) -> None:
        """Raises the contract's error unless this call raises an error of this kind. case: of what, for the message."""
        try:
            call(*arguments, **named)
        except kind:
            return
        except Exception as error:  # a part of another package may raise anything
            got = f"{type(error).__name__}: {error}"
        else:
            got = "nothing"
        raise self.broken(f"{kind.__name__} for {case}, got {got}")

    def broken(self, promise: str) -> NasfitError:
        """The error to raise for a promise that was found broken in another way."""
        return self.error(f"{self.party} breaks its contract; promised: {promise}")
