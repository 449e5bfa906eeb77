"""What a study has found, for Python: its front, its best network, and that network as a torch module."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasfit.errors import StudyError, UnknownNameError
from nasfit.export import read_metadata
from nasfit.models import load_network
from nasfit.search.asking import default_study, settings_of
from nasfit.search.best_trials import front_of
from nasfit.search.cards import card_name
from nasfit.search.events import Event
from nasfit.search.exponent import DOCUMENT as EXPONENT
from nasfit.search.goal import goal_of, judged
from nasfit.search.result import Contender, Result, best_within
from nasfit.search.run import run_search
from nasfit.search.settings import Settings
from nasfit.space import SearchSpace
from nasfit.study import Study, Trial
from nasfit.tasks import ClassificationData, open_saved
from nasfit.training import Classifier, told_preparation


@dataclass(frozen=True)
class Findings:
    """A study at one moment, read; `search` and `open_study` give it.

    path: directory of the study. settings: it was begun with. trials: all, by number. result: its finally trained and
    tested networks; None until the search has ended. data: directory of its pictures, decoded; None before there are.
    """

    path: Path
    settings: Settings
    trials: tuple[Trial, ...]
    result: Result | None
    data: Path | None

    def front(self) -> list[Trial]:
        """The trials that no other dominates in accuracy and latency, each network once, fastest first.

        Accuracies are those of short trainings, on validation pictures, and say who is ahead; see `networks` for those
        of the test. `trial.architecture` is the network as text.
        """
        return front_of(self.trials)

    @property
    def networks(self) -> tuple[Contender, ...]:
        """Those trained finally, tested once, exported, measured in one session: the search's, then published ones.

        Raises StudyError until the search has ended.
        """
        if self.result is None:
            raise StudyError(
                f"the search in {str(self.path)!r} has not ended, so no network is trained; let it go on, or see what "
                "is ahead so far with front()"
            )
        return self.result.contenders

    def best(self, max_ms: float | None = None) -> Contender:
        """The network to take: the search's best whose file meets the limit, chosen before any test.

        max_ms: another limit than the study's. Raises StudyError where none meets it, and until the search has ended.
        """
        limit_ms = self.settings.target_ms if max_ms is None else max_ms
        place = best_within(self.networks, limit_ms)
        if place is None:
            fastest = min(self.networks, key=lambda network: network.latency_ms)
            names = [network.name for network in self.networks]
            raise StudyError(
                f"no network of {str(self.path)!r} meets {limit_ms:g} ms, the fastest is {fastest.name!r} at "
                f"{fastest.latency_ms:.3g} ms; name the one to take (--network): {', '.join(names)}"
            )
        return self.networks[place]

    def network(self, name: str) -> Contender:
        """One of `networks` by its name, such as `found-1`. Raises UnknownNameError, StudyError."""
        there = {network.name: network for network in self.networks}
        if name not in there:
            raise UnknownNameError("network of the study", name, there)
        return there[name]

    def load(self, network: Contender | Trial | str | None = None) -> Classifier:
        """A network as a torch module in evaluation mode, with its trained weights, its classes and its preparation.

        network: one of `networks`, its name, or a trial whose network is among them; None takes `best()`. Raises as
        these do, WeightsError for a damaged file, and StudyError where a file is missing or a trial's network is not
        trained finally.
        """
        chosen = self._chosen(network)
        loaded, _ = load_network(self.path / chosen.weights)
        exchanged = self.path / (chosen.onnx or chosen.file)
        try:
            preparation = told_preparation(read_metadata(exchanged.read_bytes()))
        except OSError as error:
            raise StudyError(f"cannot read {str(exchanged)!r}: {error.strerror}; put the file back") from error
        if preparation is None:
            raise StudyError(f"{str(exchanged)!r} does not say how its pictures are prepared; it is not of this study")
        return Classifier(loaded, preparation)

    def files(self, network: Contender | Trial | str | None = None) -> dict[str, Path]:
        """Files of a network, as `load` takes it: `measured` (the one that was timed and tested), `onnx`, `weights`,
        `card`.
        """
        chosen = self._chosen(network)
        names = {
            "measured": chosen.file,
            "onnx": chosen.onnx or chosen.file,
            "weights": chosen.weights,
            "card": card_name(chosen.weights),
        }
        return {what: self.path / name for what, name in names.items() if (self.path / name).is_file()}

    def pictures(self) -> ClassificationData:
        """The pictures that the networks were trained and tested on, in three splits. Raises DataError, StudyError."""
        if self.data is None:
            raise StudyError(f"the study in {str(self.path)!r} has no pictures yet; let its search begin")
        return open_saved(self.data)

    def _chosen(self, network: Contender | Trial | str | None) -> Contender:
        if network is None:
            return self.best()
        if isinstance(network, Trial):
            return self._of_trial(network)
        return self.network(network if isinstance(network, str) else network.name)

    def _of_trial(self, trial: Trial) -> Contender:
        for network in self.networks:
            if network.architecture == trial.architecture:
                return network
        raise StudyError(
            f"trial {trial.number} was trained as long as it takes to rank, and its weights are not kept; train it "
            f"fully with: nasfit train '{trial.architecture}' {self.settings.data}"
        )


def open_study(path: Path | str) -> Findings:
    """What the study in a directory has found so far; works while a search runs. Raises StudyError."""
    with Study.open(path, read_only=True) as study:
        kept, trials = study.settings, study.trials()
        stored, exponent, data = study.document("result"), study.document(EXPONENT), study.document("data")
    try:
        settings = Settings.of_study(kept)
    except TypeError as error:
        raise StudyError(
            f"the study in {str(path)!r} is not of `nasfit search`, or of another version ({error})"
        ) from None
    goal = goal_of(settings, exponent["exponent"] if exponent else None)
    result = Result.from_json(stored) if stored else None
    directory = Path(path) / data["directory"] if data else None
    return Findings(Path(path), settings, tuple(judged(trials, goal)), result, directory)


def search(
    data: str | Path,
    *,
    study: str | Path | None = None,
    space: str | SearchSpace | None = None,
    store: str | None = None,
    ray: str | None = None,
    listen: Callable[[Event], object] | None = None,
    **options: Any,
) -> Findings:
    """Searches for the network that fits, trains it and exports it, as `nasfit search` does; prints nothing.

    data: a folder or a name. study: its directory; None: `runs/DATA-TARGETms-seedN`. The same call again goes on where
    it stopped, or returns at once where it had ended. space: a name or one of your own. store, ray: as `run_search`
    takes them. listen: called with every event. options: those of the command line with `_` for `-`: `target_ms=5` or
    `front=(1, 5)`, `budget="20m"` (or seconds), `max_size="2MB"`, and every other field of `Settings` by its name.

    Raises UsageError, UnknownNameError, DataError, DeviceError, StudyError and other NasfitErrors for what the user can
    mend.
    """
    named = {} if space is None or isinstance(space, SearchSpace) else {"space": space}
    settings = settings_of({"data": str(data), **named, **options})
    path = default_study(settings) if study is None else Path(study)
    own_space = space if isinstance(space, SearchSpace) else None
    with closing(run_search(settings, path, own_space, store=store, ray=ray)) as events:
        for event in events:
            if listen is not None:
                listen(event)
    return open_study(path)
