"""Wrong uses: each ends in one message that says what is wrong and what to do next, with exit code 2."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Run = Callable[..., tuple[int, str, str]]

# Command line -> what its message must say of the next step.
WRONG = {
    # Words that do not exist, or too few of them.
    "serch pics": "Did you mean 'search'",
    "search": "Missing argument 'data'",
    "search pics --target-ms": "requires an argument",
    "search pics --target-mz 5": "--target-ms",
    "search pics --target-ms fast": "valid number",
    "search pics --alpha x --target-ms 5": "valid number",
    "search pics --front 5": "requires 2 arguments",
    # The limit.
    "search pics": "give either --target-ms T",
    "search pics --target-ms 5 --front 1 2": "give either --target-ms T",
    "search pics --target-ms -5": "above 0",
    "search pics --target-ms 0": "above 0",
    "search pics --target-ms nan": "above 0",
    "search pics --front 5 1": "the lower one first",
    # Pictures.
    "search nowhere --target-ms 5": "known names: fashion-mnist",
    "search fashion-mnst --target-ms 5": "did you mean 'fashion-mnist'",
    "search file.txt --target-ms 5": "give the folder",
    "search empty --target-ms 5": "expected FOLDER/<class>/",
    "search one --target-ms 5": "at least two",
    "search few --target-ms 5": "Add pictures or remove the class",
    "search bad --target-ms 5": "give JPEG, PNG, WebP or BMP files",
    # Times and sizes.
    "search pics --target-ms 5 --budget 10": "write it as 90s, 20m",
    "search pics --target-ms 5 --budget 0s": "above 0, such as 10m",
    "search pics --target-ms 5 --budget soon": "write it as 90s, 20m",
    "search pics --target-ms 5 --max-size huge": "write it as 5MB",
    "search pics --target-ms 5 --max-mb -1": "above 0",
    # Devices and engines.
    "search pics --target-ms 5 --device phone": "known: adb:SERIAL, local",
    "search pics --target-ms 5 --device locl": "did you mean 'local'",
    "search pics --target-ms 5 --device adb:": "see: nasfit devices",
    "search pics --target-ms 5 --device ssh://": "write ssh://[user@]host[:port]",
    "search pics --target-ms 5 --device local,local": "comes twice",
    "search pics --target-ms 5 --engine litertt": "did you mean 'litert'",
    "search pics --target-ms 5 --precision int4": "did you mean 'int8'",
    "search pics --target-ms 5 --engine ncnn --precision int8": "known: fp32",
    # How to search.
    "search pics --target-ms 5 --space mnasnt": "did you mean 'mnasnet'",
    "search pics --target-ms 5 --strategy ppoo": "did you mean 'ppo'",
    "search pics --target-ms 5 --reward hardd": "did you mean 'hard'",
    "search pics --target-ms 5 --evaluator poool": "did you mean 'pool'",
    "search pics --target-ms 5 --evaluator pool --stopping curve": "leave one of the two out",
    "search pics --target-ms 5 --warm-start nowhere": "give the directory of an earlier search",
    "search pics --target-ms 5 --warm-start x --strategy ppo": "search with --strategy guided",
    "search pics --target-ms 5 --hints scores --strategy random": "search with --strategy guided",
    "search pics --target-ms 5 --calibrate-exponent --alpha -0.1": "leave out --alpha",
    "search pics --front 1 5 --reward hard": "give --target-ms in place of --front",
    "search pics --front 1 5 --strategy ppo": "take one of guided, nsga2, random",
    "search pics --target-ms 5 --predictor none.json": "nasfit measure --build-predictor",
    # Numbers out of range.
    "search pics --target-ms 5 --width 0": "above 0",
    "search pics --target-ms 5 --resolution 8": "24 px or more",
    "search pics --target-ms 5 --stream": "give --resolution",
    "search pics --target-ms 5 --strides middle": "known: early, late",
    "search pics --target-ms 5 --proxy-wish 2": "up to 1",
    "search pics --target-ms 5 --prune 0.5": "0 (train all)",
    "search pics --target-ms 5 --seed -1": "0 or more",
    "search pics --target-ms 5 --workers 0": "above 0",
    "search pics --target-ms 5 --max-trials 0": "above 0",
    "search pics --target-ms 5 --train-precision fp8": "did you mean 'fp32'",
    # Where the study is.
    "search pics --target-ms 5 --study pics": "name a new or empty directory",
    "search pics --target-ms 5 --study file.txt": "name another directory",
    "search pics --target-ms 5 --store mysql://x": "give postgresql://user@host/database",
    "search pics --target-ms 5 --store postgresql://me:secret@h/db": "~/.pgpass",
    "search pics --target-ms 5 --config none.toml": "No such file",
    "show nowhere": "check the path",
    "report pics": "check the path",
    "study ls nowhere": "name the one that holds your studies",
    "study export nowhere a.csv": "check the path",
    "study merge new pics": "two different studies or more",
    # Networks.
    "count mnasnet-a9": "did you mean 'mnasnet-a1'",
    "count mnasnet-a1 --width 0": "such as 0.5",
    "measure": "try: nasfit measure mnasnet-a1",
    "measure net.onnx": "try --engine onnxruntime",
    "measure mnasnet-a1 --resolution 3": "24 px or more",
    # Full trainings.
    "train mnasnet-a1": "Missing argument",
    "train mnasnet-a9 pics": "did you mean 'mnasnet-a1'",
    "train pics pics": "check the path",
    "train mnasnet-a1 nowhere": "known names: fashion-mnist",
    "train mnasnet-a1 bad": "give JPEG, PNG, WebP or BMP files",
    "train mnasnet-a1 pics --recipe modrn": "did you mean 'modern'",
    "train mnasnet-a1 pics --epochs 5 --budget 1m": "give one of them",
    "train mnasnet-a1 pics --epochs 0": "above 0",
    "train mnasnet-a1 pics --batch 0": "above 0",
    "train mnasnet-a1 pics --lr nan": "above 0",
    "train mnasnet-a1 pics --resolution 8": "24 px or more",
    "train mnasnet-a1 pics --strides middle": "known: early, late",
    "train mnasnet-a1 pics --seed -1": "0 or more",
    "train mnasnet-a1 pics --device gpu": "give cpu or cuda",
    "train mnasnet-a1 pics --precision fp16": "did you mean 'bf16'",
    "train mnasnet-a1 pics --log mlfow": "did you mean 'mlflow'",
    "train mnasnet-a1 pics --checkpoint-every 5": "write it as 90s, 20m",
    "train mnasnet-a1 pics --network found-2": "is no study's directory",
    # Other commands.
    "doctor phone": "known: adb:SERIAL, local",
    "proxy nowhere": "known names: fashion-mnist",
    "proxy pics --wish 3": "up to 1",
    "demo --budget 1x": "write it as 90s, 20m",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of pictures, most of them wrong."""
    root = tmp_path_factory.mktemp("wrong")
    for folder, number in {"pics/a": 4, "pics/b": 4, "one/a": 4, "few/a": 1, "few/b": 1, "empty": 0}.items():
        (root / folder).mkdir(parents=True)
        for name in range(number):
            Image.new("RGB", (24, 24), (name * 20, 0, 0)).save(root / folder / f"{name}.png")
    for folder in ("bad/a", "bad/b"):
        (root / folder).mkdir(parents=True)
        for name in range(4):
            (root / folder / f"{name}.png").write_text("no picture")
    (root / "file.txt").write_text("hello")
    (root / "net.onnx").write_bytes(b"nothing")
    return root


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_use_ends_in_one_message(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(place)
    code, out, err = run(*shlex.split(line))
    assert code == 2 and WRONG[line] in " ".join(err.split()), err
    assert out == "" and "Traceback" not in err
    # A line, or the four of the command line's parser.
    assert len(err.strip().splitlines()) <= 4
    assert "secret" not in err
