"""A class for each engine: a network's file in, inferences out. Part of `worker.py`: standard library and numpy alone.

A class takes (path, threads) and offers: modules (any one of them will do), inputs [(name, type)], input_shape,
bind(image_BCHW), infer(), output(). It raises what the engine raises. The path can be opened while the class is made
and no later. An array that is bound stays the caller's and unchanged until the next one.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

NAMELESS = Path("/proc/self/fd")
# To be set before an engine is imported: ONNX Runtime would write to the user's cache what it means to send home.
ENVIRONMENT = {"ORT_DISABLE_TELEMETRY": "1"}


def unnamed_file() -> IO[bytes]:
    """A file that has no name, where the system has such, so that nothing of it is left however this process ends."""
    file: IO[bytes] = (tempfile.TemporaryFile if NAMELESS.is_dir() else tempfile.NamedTemporaryFile)()
    return file


def path_of(content: IO[bytes]) -> str:
    """A path that opens this file, nameless or not."""
    return str(NAMELESS / str(content.fileno())) if NAMELESS.is_dir() else str(content.name)


def first_installed(modules: tuple[str, ...]) -> str | None:
    """The first of these modules whose package is here."""
    return next((name for name in modules if importlib.util.find_spec(name.partition(".")[0]) is not None), None)


class LiteRt:
    """A network in LiteRT: CPU, with the XNNPACK delegate, which it takes by itself."""

    # The second is the older name, the only one there is for 32-bit ARM.
    modules = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")

    def __init__(self, path: str, threads: int) -> None:
        module: Any = importlib.import_module(str(first_installed(self.modules)))
        self.interpreter = module.Interpreter(model_path=path, num_threads=threads)
        self.interpreter.allocate_tensors()
        entries = self.interpreter.get_input_details()
        if len(entries) == 1 and len(entries[0]["shape"]) == 4:
            batch, height, width, channels = (int(size) for size in entries[0]["shape"])
            self.input_shape = [batch, channels, height, width]
        else:
            self.input_shape = [int(size) for size in entries[0]["shape"]]
        self.inputs = [(entry["name"], np.dtype(entry["dtype"]).name) for entry in entries]
        self.input_index = entries[0]["index"]
        self.output_index = self.interpreter.get_output_details()[0]["index"]
        self.infer: Callable[[], object] = self.interpreter.invoke

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input, which the engine keeps until the next one; it wants channels last."""
        image = image_BCHW.transpose(0, 2, 3, 1) if image_BCHW.ndim == 4 else image_BCHW
        self.interpreter.set_tensor(self.input_index, np.ascontiguousarray(image))

    def output(self) -> np.ndarray:
        """First output of the last inference, channels first."""
        output = np.asarray(self.interpreter.get_tensor(self.output_index))
        return output.transpose(0, 3, 1, 2) if output.ndim == 4 else output


class OnnxRuntime:
    """A network in ONNX Runtime: CPU provider, all graph optimisations; one thread does not spin."""

    modules = ("onnxruntime",)

    def __init__(self, path: str, threads: int) -> None:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # x86 without VNNI: int8 sums that do not saturate in 16 bits. Elsewhere it changes nothing.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if threads == 1:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        entries = self.session.get_inputs()
        self.inputs = [(entry.name, "float32" if entry.type == "tensor(float)" else entry.type) for entry in entries]
        self.input_shape = [size if isinstance(size, int) else 1 for size in entries[0].shape]
        self.binding = self.session.io_binding()
        for entry in self.session.get_outputs():
            self.binding.bind_output(entry.name)

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input. Bound once, it saves 5 us a call against passing it, 4 % of a small network."""
        # The engine reads the array in place, so it is kept.
        self.image_BCHW = image_BCHW
        self.binding.bind_cpu_input(self.inputs[0][0], image_BCHW)

    def infer(self) -> None:
        """One inference."""
        self.session.run_with_iobinding(self.binding)

    def output(self) -> np.ndarray:
        """First output of the last inference."""
        return np.asarray(self.binding.copy_outputs_to_cpu()[0])


class OpenVino:
    """A network in OpenVINO: CPU, tuned for latency, one stream, which computes in the calling thread."""

    modules = ("openvino",)

    def __init__(self, path: str, threads: int) -> None:
        openvino: Any = importlib.import_module("openvino")
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned already. Without the precision it computes in bfloat16 where the processor can.
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(path, "CPU", settings)
        names = {"f32": "float32"}
        self.inputs = [
            (port.get_any_name(), names.get(port.element_type.get_type_name(), str(port.element_type)))
            for port in compiled.inputs
        ]
        shape = compiled.inputs[0].partial_shape
        self.input_shape = [1 if size.is_dynamic else int(size.get_length()) for size in shape]
        self.tensor_of = openvino.Tensor
        self.request = compiled.create_infer_request()

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input, which the engine reads in place."""
        self.image_BCHW = image_BCHW
        self.request.set_input_tensor(self.tensor_of(image_BCHW, shared_memory=True))

    def infer(self) -> None:
        """One inference."""
        self.request.infer(share_outputs=True)

    def output(self) -> np.ndarray:
        """First output of the last inference."""
        return np.array(self.request.get_output_tensor(0).data)


class Ncnn:
    """A network in ncnn: CPU, float32 throughout; of its OpenMP threads the first is the calling one."""

    modules = ("ncnn",)

    def __init__(self, path: str, threads: int) -> None:
        ncnn: Any = importlib.import_module("ncnn")
        content = Path(path).read_bytes()
        head = json.loads(content.partition(b"\n")[0])
        end = len(content) - head["bin_bytes"]
        start = end - head["param_bytes"]
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.opt.use_vulkan_compute = False
        # By default it keeps weights and maps in 16 bits where the processor can.
        for name in dir(self.net.opt):
            if "fp16" in name or "bf16" in name:
                setattr(self.net.opt, name, False)
        self._done(self.net.load_param_mem(content[start:end].decode()), "its .param")
        with unnamed_file() as weights:
            weights.write(content[end:])
            weights.flush()
            self._done(self.net.load_model(path_of(weights)), "its .bin")
        self.inputs = [(name, "float32") for name in head["input"]]
        self.input_shape = next(iter(head["input"].values()))
        self.outputs: dict[str, list[int]] = head["outputs"]
        self.mat_of = ncnn.Mat
        self.made: list[Any] = []

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input; the engine keeps a copy, with the gaps between channels that it wants."""
        self.image = self.mat_of(image_BCHW[0]).clone()

    def infer(self) -> None:
        """One inference: all outputs."""
        extractor = self.net.create_extractor()
        extractor.input(self.inputs[0][0], self.image)
        made = []
        for name in self.outputs:
            code, blob = extractor.extract(name)
            self._done(code, f"output {name!r}")
            made.append(blob)
        self.made = made

    def output(self) -> np.ndarray:
        """First output of the last inference."""
        return self.all_outputs()[0]

    def all_outputs(self) -> list[np.ndarray]:
        """Every output of the last inference, with the batch of 1 that ncnn leaves out."""
        return [np.array(self.made[place]).reshape(shape) for place, shape in enumerate(self.outputs.values())]

    @staticmethod
    def _done(code: int, what: str) -> None:
        if code:
            raise ValueError(f"ncnn cannot read or compute {what} (code {code})")


class ExecuTorch:
    """A network in ExecuTorch: portable and XNNPACK kernels, in the calling thread where it is given one."""

    modules = ("executorch.runtime",)

    def __init__(self, path: str, threads: int) -> None:
        runtime: Any = importlib.import_module("executorch.runtime")
        # Its pool has a thread a core otherwise; there is no other way to say so.
        importlib.import_module("executorch.extension.pybindings.portable_lib")._unsafe_reset_threadpool(threads)
        # PyTorch copies the output, in threads of its own where it is large.
        torch: Any = importlib.import_module("torch")
        torch.set_num_threads(threads)
        self.tensor_of = torch.from_numpy
        # Read in place, so they are kept.
        self.content = Path(path).read_bytes()
        self.method = runtime.Runtime.get().load_program(self.content).load_method("forward")
        told = self.method.metadata
        entries = [told.input_tensor_meta(index) for index in range(told.num_inputs())]
        # 6 is PyTorch's number of float32.
        self.inputs = [
            (f"input {index}", "float32" if entry.dtype() == 6 else f"type {entry.dtype()}")
            for index, entry in enumerate(entries)
        ]
        self.input_shape = [int(size) for size in entries[0].sizes()]
        self.made: list[Any] = []

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input, which the engine copies at each inference."""
        self.arguments = [self.tensor_of(image_BCHW)]

    def infer(self) -> None:
        """One inference: all outputs."""
        self.made = self.method.execute(self.arguments)

    def output(self) -> np.ndarray:
        """First output of the last inference."""
        return self.all_outputs()[0]

    def all_outputs(self) -> list[np.ndarray]:
        """Every output of the last inference."""
        return [tensor.numpy().copy() for tensor in self.made]


# The names are those of nasfit's registry of engines.
ENGINES: dict[str, Any] = {
    "litert": LiteRt,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "ncnn": Ncnn,
    "executorch": ExecuTorch,
}
