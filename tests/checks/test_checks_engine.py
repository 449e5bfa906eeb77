"""The checker of engines: nasfit's own pass, and each broken promise is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nasfit.checks import check_engine
from nasfit.errors import DeviceError, UnknownNameError

PACKAGE = """
import dataclasses
from nasfit.devices import Engine

class Runtime:
    modules = ("numpy",)

ENGINE = dataclasses.replace(Engine("mine", "numpy", "numpy", "onnx", ("fp32",), runtime=Runtime), {changed})
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["litert", "onnxruntime"])
def test_engines_of_nasfits_own_pass(name: str) -> None:
    check_engine(name)


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        ("model_format='mine'", "promised: a model format that nasfit writes"),
        ("precisions=('int8',)", "promised: fp32 and perhaps int8"),
        ("precisions=('fp32', 'fp16')", "promised: fp32 and perhaps int8"),
        ("module='no_such_module'", "promised: the module 'no_such_module', which pip install numpy brings"),
        ("", "imports nothing at its top but the standard library and numpy.*got nasfit"),
    ],
)
def test_each_broken_promise_is_named(add_package: Callable[..., None], changed: str, promise: str) -> None:
    add_package(PACKAGE.format(changed=changed), group="nasfit.engines", mine="other_parts:ENGINE")
    with pytest.raises(DeviceError, match=f"engine 'mine' breaks its contract.*{promise}"):
        check_engine("mine")


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'litert'"):
        check_engine("litret")
