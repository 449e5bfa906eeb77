"""A proxy check by itself, in a study directory of its own: design, trainings, choice; goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture, adapted
from nasfit.errors import StudyError, TrialFailure, UsageError
from nasfit.search.data import prepared
from nasfit.search.events import Noted, Prepared, ProxyChosen, ProxyStep
from nasfit.search.proxy_choice import proxy_choice, require_wish
from nasfit.search.proxy_design import Design, Training, affordable_full, budgets_of, spread
from nasfit.search.proxy_trainings import known, trained
from nasfit.search.settings import Settings
from nasfit.search.shared_pool import Workers
from nasfit.space import DEFAULT_SPACE, SearchSpace, Tokens, named_space
from nasfit.study import Study, holds_study
from nasfit.tasks import ClassificationData, find
from nasfit.training import Recipe, TrainingJob, recipe_for, training_speed
from nasfit.workers import Pool, available_cores

MAY_CHANGE = ("workers", "wish")
# The design, under the name that fixes a study's pictures.
DOCUMENT = "plan"
# Of the time wanted; what trainings are estimated to take they take within some tenths.
SAFETY = 0.85


@dataclass(frozen=True)
class ProxySettings:
    """What a check is asked for.

    data: a folder or a name. width, strides, resolution: of the networks; pictures, stream: of the data, as in a
    search. networks: how many, spread over the space. budgets: pictures of the short trainings, rising; None: shares of
    the full one. full: pictures of the full training; None: as many as budget_s (seconds on all workers) allows. seeds:
    trainings of each kind. wish: Kendall's tau to reach. Raises UsageError, UnknownNameError.
    """

    data: str
    space: str = DEFAULT_SPACE
    width: float = 0.35
    strides: str = "late"
    resolution: int | None = None
    pictures: int | None = None
    stream: bool = False
    networks: int = 8
    budgets: tuple[int, ...] | None = None
    full: int | None = None
    seeds: int = 1
    seed: int = 0
    budget_s: float = 1800.0
    wish: float = 0.8
    workers: int | None = None

    def __post_init__(self) -> None:
        require_wish(self.wish)
        self._as_search()
        # Now rather than after the pictures: a design of the same numbers.
        budgets = (1,) if self.budgets is None else self.budgets
        full = max((0, *budgets)) + 1 if self.full is None else self.full
        Design(("",) * self.networks, budgets, full, self.seeds, self.seed)
        if self.full is not None and not (self.budgets or budgets_of(self.full)):
            raise UsageError(f"--full is {self.full} pictures, which leaves no shorter training to try; give --budgets")

    def _as_search(self) -> Settings:
        """A search of these networks, which checks the values they share."""
        return Settings(
            data=self.data,
            target_ms=1.0,
            space=self.space,
            width=self.width,
            strides=self.strides,
            resolution=self.resolution,
            pictures=self.pictures,
            stream=self.stream,
            seed=self.seed,
            budget_s=self.budget_s,
            workers=self.workers,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the study keeps them."""
        return {**asdict(self), "budgets": None if self.budgets is None else list(self.budgets)}


def check_proxy(
    settings: ProxySettings, path: Path, space: SearchSpace | None = None
) -> Iterator[Prepared | Noted | ProxyStep | ProxyChosen]:
    """Runs or continues a check at `path`; the last event is the choice.

    Trains on the training pictures and judges on validation pictures; the test pictures are not touched. space: one of
    your own in place of the named one. Raises NasfitError for what the user can mend; the same call goes on.
    """
    space = space or named_space(settings.space)
    with _opened(settings, path) as study, Pool(settings.workers or available_cores()) as pool:
        data, directory = prepared(settings, study)
        yield Prepared(data.notes, resumed=0)
        if before := len(known(study)):
            yield Noted(f"going on after {before} trainings")
        pictures = len(data.train.labels_N)

        def job(training: Training) -> TrainingJob:
            return TrainingJob(
                training.network, str(directory), recipe_for(training.images, pictures), seed=training.seed
            )

        stored = study.document(DOCUMENT)
        if stored is None:
            design = _designed(settings, space, data, directory, pool)
            study.put_document(DOCUMENT, asdict(design))
        else:
            design = Design(tuple(stored["networks"]), tuple(stored["budgets"]), *(stored[w] for w in _REST))
        yield Noted(
            f"{len(design.networks)} networks of {space.name} x{settings.width:g}, {settings.strides} strides at "
            f"{data.resolution} px, each on {', '.join(f'{images:,}' for images in (*design.budgets, design.full))} "
            f"pictures"
        )
        for done, everything in trained(design, study, pool, job):
            yield ProxyStep(done, everything)
        yield ProxyChosen(proxy_choice(design, known(study), settings.wish))


_REST = ("full", "seeds", "seed")


def _opened(settings: ProxySettings, path: Path) -> Study:
    may_change: tuple[str, ...] = MAY_CHANGE
    if holds_study(path):
        with Study.open(path, read_only=True) as study:
            if study.document(DOCUMENT) is None:
                may_change = tuple(field.name for field in fields(ProxySettings))
            elif "wish" not in study.settings:
                raise StudyError(f"{str(path)!r} holds a search, not a proxy check; name another --study")
    else:
        find(settings.data)
    return Study.open_or_create(path, settings.as_json(), may_change=may_change)


def _designed(
    settings: ProxySettings, space: SearchSpace, data: ClassificationData, directory: Path, pool: Workers
) -> Design:
    """Networks and lengths; where nobody says how long the full training is, as the time allows."""

    def build(tokens: Tokens) -> Architecture:
        return adapted(
            space.decode(tokens, settings.width),
            resolution=data.resolution,
            channels=data.channels,
            classes=len(data.classes),
            strides=settings.strides,
        )

    networks = [str(network) for _, network in spread(space, build, settings.networks, settings.seed)]
    full = settings.full
    if full is None:
        core_seconds = SAFETY * settings.budget_s * pool.workers
        full = affordable_full(core_seconds, speeds_of(networks, directory, pool), settings.seeds)
        if settings.budgets:
            full = max(full, 2 * settings.budgets[-1])
    budgets = settings.budgets or budgets_of(full)
    if not budgets:
        raise UsageError(
            f"a full training of {full:,} pictures leaves no shorter one to try; give a longer --budget, fewer "
            f"--networks, or --full and --budgets"
        )
    return Design(tuple(networks), budgets, full, settings.seeds, settings.seed)


def speeds_of(networks: list[str], directory: Path, pool: Workers) -> list[float]:
    """Training speeds of the networks, pictures a second, while all workers train. Raises StudyError."""
    jobs = [TrainingJob(network, str(directory), Recipe(images=0), seed=0) for network in networks]
    speeds = []
    for _, value in pool.run(training_speed, jobs, timeout_s=300):
        if isinstance(value, TrialFailure):
            raise StudyError(f"a trial training could not run: {value}")
        speeds.append(value)
    return speeds
