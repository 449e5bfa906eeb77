"""Writes the generated pages of the docs: every command with its options, and every public name of nasfit.

python tools/reference.py            writes docs/reference/options.md and docs/reference/python.md
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

import typer

import nasfit
from nasfit.cli.app import app

PAGES = Path(__file__).parents[1] / "docs" / "reference"
WIDTH = 100

OPTIONS_HEAD = """# Every command, every option

Written from the program itself (`make reference`), so it is what `--help` says. What the commands do, and their exit
codes, is told in [commands](commands.md).
"""
PYTHON_HEAD = """# Public names

Written from the docstrings (`make reference`). `from nasfit import` takes each; they load on first use, and
`import nasfit` loads no torch. Errors are one tree below `NasfitError`; what they mean is told in
[troubleshooting](../troubleshooting.md).

Arrays carry their axes in their names: B pictures, C channels, H height, W width, K classes, N points.
"""
TYPES_HEAD = """What the names above take and give, as far as it is nasfit's own. Import these from the package named.
"""


def main() -> None:
    """Writes both pages."""
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """File name -> text of each generated page."""
    command = typer.main.get_command(app)
    options = "\n".join([OPTIONS_HEAD, *_command("nasfit", command)])
    return {"options.md": options, "python.md": "\n".join([PYTHON_HEAD, *_names()])}


def _command(name: str, command: Any) -> Iterator[str]:
    """One command and those below it."""
    yield f"## {name}\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        example = re.match(r"Examples?:\s*", paragraph)
        yield f"```\n{inspect.cleandoc(paragraph[example.end() :])}\n```\n" if example else f"{paragraph}\n"
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    if shown:
        yield "\n".join(["| option | means | default |", "|---|---|---|", *map(_parameter, shown)]) + "\n"
    for below, child in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {below}", child)


def _parameter(parameter: Any) -> str:
    """A row of the table: an argument or option, its help, its default."""
    if parameter.param_type_name == "argument":
        names = f"`{(parameter.metavar or parameter.name).upper()}`" + (" (several)" if parameter.nargs == -1 else "")
    else:
        value = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
        names = ", ".join(f"`{name}{value}`" for name in [*parameter.opts, *parameter.secondary_opts])
    given = parameter.default
    default = f"`{given}`" if isinstance(given, str | int | float | Path) and not isinstance(given, bool) else ""
    if isinstance(given, bool) and parameter.secondary_opts:
        default = f"`{(parameter.opts if given else parameter.secondary_opts)[0]}`"
    cells = (names, parameter.help or "", "needed" if parameter.required else default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _names() -> Iterator[str]:
    """All public names, package by package, then the types that their signatures speak of."""
    public = {name: getattr(nasfit, name) for name in nasfit.__all__ if not name.startswith("__")}
    homes = sorted((_package(thing), name) for name, thing in public.items())
    for package, members in groupby(homes, key=lambda home: home[0]):
        yield f"## {package}\n\n{_first_paragraph(importlib.import_module(package))}\n"
        for _, name in members:
            yield from _name(name, public[name])
    yield f"## Types\n\n{TYPES_HEAD}"
    types = {met for thing in public.values() for met in _types_met(thing)} - set(public.values())
    for met in sorted(types, key=lambda met: (_package(met), met.__name__)):
        yield from _name(f"{_package(met)}.{met.__name__}", met)


def _types_met(thing: Any) -> Iterator[type]:
    """Classes that a package of nasfit hands out, of the signatures of a function or of a class and its methods."""
    known = vars(sys.modules[thing.__module__])
    own = [member for _, member in _members(thing)] if inspect.isclass(thing) else []
    text = " ".join(str(inspect.signature(each)) for each in [thing, *own] if _parameters(each) or each in own)
    for word in re.findall(r"[A-Z]\w+", text):
        for met in getattr(known.get(word), "__args__", (known.get(word),)):  # a union has its members there
            is_own = inspect.isclass(met) and met.__module__.startswith("nasfit.")
            if is_own and met.__name__ in getattr(importlib.import_module(_package(met)), "__all__", ()):
                yield met


def _package(thing: Any) -> str:
    """`nasfit.search` for what is defined in `nasfit.search.run`."""
    return ".".join(thing.__module__.split(".")[:2])


def _first_paragraph(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _name(name: str, thing: Any) -> Iterator[str]:
    yield f"### {name}\n"
    fields, called = _parameters(thing), name.split(".")[-1]
    if not inspect.isclass(thing):
        yield _code(called, thing, fields)
    elif dataclasses.is_dataclass(thing):
        yield _code(f"class {called}", thing, fields)
    yield _prose(inspect.getdoc(thing) or "", fields)
    for below, function in _members(thing) if inspect.isclass(thing) else ():
        parameters = _parameters(function)[0 if isinstance(vars(thing)[below], staticmethod) else 1 :]
        yield f"#### {called}.{below}\n"
        yield _code(below, function, parameters, is_property=isinstance(vars(thing)[below], property))
        yield _prose(inspect.getdoc(function) or "", parameters)


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that the class itself defines, as functions."""
    for name, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def _parameters(thing: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):  # an exception without arguments of its own
        return []


def _code(name: str, thing: Any, parameters: list[inspect.Parameter], *, is_property: bool = False) -> str:
    """The signature as Python, one parameter a line where it is long."""
    written, is_keyword = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not is_keyword:
            is_keyword = True
            written.append("*")
        written.append(_written(parameter))
    gives = "" if inspect.isclass(thing) else str(inspect.signature(thing).return_annotation).replace("'", "")
    if is_property:
        return f"```python\n{name}: {gives}\n```\n"
    ending = f" -> {gives}" if gives else ""
    short = f"{name}({', '.join(written)}){ending}"
    if len(short) > WIDTH:
        short = f"{name}(\n" + "".join(f"    {one},\n" for one in written) + f"){ending}"
    return f"```python\n{short}\n```\n"


def _written(parameter: inspect.Parameter) -> str:
    text = str(parameter).split(":")[0].split("=")[0].strip()
    if parameter.annotation is not parameter.empty:
        text += f": {parameter.annotation}"
    if parameter.default is not parameter.empty:
        given = parameter.default
        default = (
            f"{type(given).__name__}.{given.name}"
            if isinstance(given, Enum)
            else getattr(given, "__name__", None) or repr(given)
        )
        text += f" = {default if len(default) <= 60 and not default.startswith('<') else '...'}"
    return text


def _prose(text: str, parameters: list[inspect.Parameter]) -> str:
    """A docstring whose `name: what` sentences become a list; what it raises becomes a paragraph of its own."""
    names = "|".join(re.escape(parameter.name) for parameter in parameters) or "(?!)"
    item = re.compile(rf"(?:^|(?<=[.;)`] ))((?:{names})(?:(?: \([^)]*\))?, (?:{names}))*(?: \([^)]*\))?): ")
    written = []
    for paragraph in text.split("\n\n"):
        for part in re.split(r"(?<=[.)]) (?=Raises )", " ".join(paragraph.split())):
            before, *items = item.split(part)
            written += [before.strip()] if before.strip() else []
            listed = [f"* **{names}**: {told.strip()}" for names, told in zip(items[::2], items[1::2], strict=True)]
            written += ["\n".join(listed)] if listed else []
    return "\n\n".join(written) + "\n"


if __name__ == "__main__":
    main()
