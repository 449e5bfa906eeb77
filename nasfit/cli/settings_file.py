"""Options of a command in a TOML file: `--config FILE` reads them, `--print-config` writes them.

Keys are the long options without their dashes, and the arguments. What is typed wins over the file.
"""

from __future__ import annotations

import functools
import inspect
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nasfit.errors import UnknownNameError, UsageError

# Of the command line alone.
NOT_KEPT = frozenset({"config", "print_config", "dry_run", "json_", "help"})


def _read(context: typer.Context, value: Path | None) -> Path | None:
    """Makes the file's values the defaults of the command. Raises UsageError, UnknownNameError."""
    if value is None:
        return None
    try:
        given = tomllib.loads(value.read_text())
    except OSError as error:
        raise UsageError(f"--config {value} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {value} is no TOML: {error}") from error
    known = {_key(parameter): parameter for parameter in _parameters(context)}
    for key in given:
        if key not in known:
            raise UnknownNameError(f"setting in {value}:", key, known)
        if isinstance(given[key], dict):
            raise UsageError(f"--config {value}: {key} is a table; settings are lines of the form  name = value")
    context.default_map = {known[key].name: _plain(given[key]) for key in given}
    return value


_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file of options, by their long names: seed = 3. What is typed wins over it.",
        callback=_read,
        is_eager=True,
    ),
]
_PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print all options as such a file, and stop.")]


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command of typer's `--config` and `--print-config`, as the last of its options."""
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(context: typer.Context, config: Path | None, print_config: bool, **values: Any) -> None:
        if print_config:
            print("\n".join(_lines(context)))
        else:
            command(**({"context": context} if "context" in own.parameters else {}), **values)

    added = {
        "context": inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        **{name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter in own.parameters.items()},
        "config": inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Config),
        "print_config": inspect.Parameter(
            "print_config", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_PrintConfig
        ),
    }
    # What typer reads.
    run.__signature__ = own.replace(parameters=list(added.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in added.items()}
    return run


def _lines(context: typer.Context) -> Iterator[str]:
    """The command's options as lines of a TOML file; those without a value as comments."""
    for parameter in _parameters(context):
        value = context.params[parameter.name]
        told = " ".join((getattr(parameter, "help", None) or "").split())
        if value is None:
            yield f"# {_key(parameter)} =  # {told}"
        else:
            yield f"{_key(parameter)} = {_toml(value)}  # {told}"


def _parameters(context: typer.Context) -> list[Any]:
    # Typer has its own copy of click, whose names are private.
    return [parameter for parameter in context.command.params if parameter.name not in NOT_KEPT]


def _key(parameter: Any) -> str:
    """`target-ms` of `--target-ms`."""
    return str(max(parameter.opts, key=len)).lstrip("-").replace("_", "-")


def _plain(value: Any) -> Any:
    """Lists, for options of several values, as tuples; all else as it is."""
    return tuple(value) if isinstance(value, list) else value


def _toml(value: Any) -> str:
    # Strings, numbers, booleans and lists of them are written alike in JSON and TOML.
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
