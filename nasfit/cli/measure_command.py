"""What `nasfit measure` was asked for: networks, a predictor of a space, its estimates, or what counts are worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nasfit.cli.measuring import Place
from nasfit.cli.measuring import run as measure_networks
from nasfit.cli.networks import Fitting
from nasfit.cli.predicting import build, check_madds, estimate
from nasfit.cli.quantities import seconds
from nasfit.errors import UsageError
from nasfit.space import DEFAULT_SPACE, named_space

BUILD_BUDGET, CHECK_BUDGET = "10m", "2m"


@dataclass(frozen=True)
class Asked:
    """The options of the command line beside device and network; None and False where not given."""

    networks: tuple[str, ...]
    quick: bool = False
    build_predictor: bool = False
    check_madds: bool = False
    predictor: Path | None = None
    space: str | None = None
    budget: str | None = None
    out: Path | None = None
    picture: Path | None = None

    def __post_init__(self) -> None:
        given = {
            "--build-predictor": self.build_predictor,
            "--check-madds": self.check_madds,
            "--predictor": self.predictor is not None,
        }
        modes = [option for option, there in given.items() if there]
        if len(modes) > 1:
            raise UsageError(f"{' and '.join(modes)} are different tasks; give one of them")
        mode = modes[0] if modes else ""
        whole = ("--build-predictor", "--check-madds")
        if self.networks and mode in whole:
            raise UsageError(f"{mode} takes networks of a space by itself; leave out {self.networks[0]!r}")
        # An option that would do nothing is a mistake, not a wish.
        self._require("--quick", self.quick, mode, ("",))
        self._require("--space", self.space, mode, whole)
        self._require("--budget", self.budget, mode, whole)
        self._require("--out", self.out, mode, whole[:1])
        self._require("--picture", self.picture, mode, whole[1:])

    @staticmethod
    def _require(option: str, value: object, mode: str, modes: tuple[str, ...]) -> None:
        if value and mode not in modes:
            what = " or ".join(modes) if any(modes) else "networks that are measured"
            raise UsageError(f"{option} goes with {what}; leave it out")


def run(asked: Asked, place: Place, fitting: Fitting, *, as_json: bool) -> None:
    """Does it. Raises UsageError, UnknownNameError, DeviceError."""
    space = named_space(asked.space or DEFAULT_SPACE)
    if asked.build_predictor:
        build(place, space, fitting, seconds(asked.budget or BUILD_BUDGET), asked.out, as_json=as_json)
    elif asked.check_madds:
        check_madds(place, space, fitting, seconds(asked.budget or CHECK_BUDGET), asked.picture, as_json=as_json)
    elif asked.predictor is not None:
        if place != Place() or fitting.precision != "fp32":
            raise UsageError("--predictor asks no device; leave out --device, --engine, --precision and the like")
        estimate(asked.networks, asked.predictor, fitting, as_json=as_json)
    else:
        measure_networks(asked.networks, place, fitting, quick=asked.quick, as_json=as_json)
