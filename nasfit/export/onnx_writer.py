"""torch.fx trace -> ONNX file, batch norm folded; one entry of a table per kind of module.

Shapes: B batch, C channels, H and W pixels, K classes; O output and I input channels of a weight.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import onnx
import torch
from torch import fx, nn

from nasfit import __version__
from nasfit.errors import TrialFailure
from nasfit.export.graph import Graph, Source
from nasfit.export.operators import FUNCTIONS, METHODS, MODULES, emit_batch_norm, emit_conv

INPUT_NAME = "image"
OUTPUT_NAME = "logits"
# Opset 17 with IR 8 is read by every ONNX Runtime since 1.12 (2022) and needs no feature of a later one.
OPSET = 17
IR_VERSION = 8


def to_onnx(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    metadata: Mapping[str, str] | None = None,
    *,
    batch: int | None = 1,
) -> bytes:
    """An ONNX file of the module in evaluation mode: `image` (B, C, H, W) float32 -> `logits`.

    input_shape: (C, H, W). metadata: stored as texts beside `nasfit_version`. batch: fixed B, None leaves it open.
    The module is not changed. Raises TrialFailure naming what cannot be written.
    """
    # A memo that holds the weights lets the copy share them: only modes and structure are copied.
    weights = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    frozen = copy.deepcopy(module, weights).eval()
    try:
        trace = fx.Tracer().trace(frozen)
    except Exception as error:  # torch.fx lets errors of any kind out of the traced forward
        raise TrialFailure(f"cannot trace {type(module).__name__} for export: {error}") from error
    with torch.no_grad():
        graph, classes = _write(frozen, trace)
    shape = ["batch" if batch is None else batch, *input_shape]
    image = onnx.helper.make_tensor_value_info(INPUT_NAME, onnx.TensorProto.FLOAT, shape)
    logits_shape = None if classes is None else [shape[0], classes]
    logits = onnx.helper.make_tensor_value_info(OUTPUT_NAME, onnx.TensorProto.FLOAT, logits_shape)
    body = onnx.helper.make_graph(graph.nodes, "nasfit", [image], [logits], graph.weights)
    model = onnx.helper.make_model(
        body, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="nasfit"
    )
    onnx.helper.set_model_props(model, {**(metadata or {}), "nasfit_version": __version__})
    return bytes(model.SerializeToString())


def _write(root: nn.Module, trace: fx.Graph) -> tuple[Graph, int | None]:
    """The graph and, where a linear layer ends it, the number of classes."""
    modules = dict(root.named_modules())
    folded = _foldable(trace, modules)
    graph = Graph()
    names: dict[fx.Node, str] = {}
    classes: int | None = None
    for node in trace.nodes:
        if node.op == "placeholder":
            if names:
                raise TrialFailure(f"cannot export a network of several inputs; found {node.name!r} as another")
            names[node] = INPUT_NAME
        elif node.op == "output":
            last = node.args[0]
            if not isinstance(last, fx.Node):
                raise TrialFailure("cannot export a network that returns anything but one tensor")
            graph.add("Identity", [names[last]], OUTPUT_NAME)
            final = modules.get(str(last.target)) if last.op == "call_module" else None
            classes = final.out_features if isinstance(final, nn.Linear) else None
        else:
            _emit(graph, Source(node, names), modules, folded)
    return graph, classes


def _emit(graph: Graph, source: Source, modules: dict[str, nn.Module], folded: dict[fx.Node, nn.BatchNorm2d]) -> None:
    node = source.node
    if node.op == "call_module":
        module = modules[str(node.target)]
        before = source.node.args[0]
        if isinstance(module, nn.BatchNorm2d):
            if isinstance(before, fx.Node) and folded.get(before) is module:
                source.names[node] = source.names[before]
                return
            emit_batch_norm(graph, source, module)
        elif isinstance(module, nn.Conv2d):
            emit_conv(graph, source, module, folded.get(node))
        elif type(module) in MODULES:
            MODULES[type(module)](graph, source, module)
        else:
            raise TrialFailure(f"cannot export module {node.target!r}: no ONNX form is known for {module}")
    elif node.op == "call_function" and node.target in FUNCTIONS:
        FUNCTIONS[node.target](graph, source)
    elif node.op == "call_method" and node.target in METHODS:
        METHODS[str(node.target)](graph, source)
    else:
        raise TrialFailure(f"cannot export {node.format_node()}: no ONNX form is known for it")


def _foldable(trace: fx.Graph, modules: dict[str, nn.Module]) -> dict[fx.Node, nn.BatchNorm2d]:
    """Convolutions whose one reader is a batch norm, with that norm."""
    folded: dict[fx.Node, nn.BatchNorm2d] = {}
    for node in trace.nodes:
        if node.op == "call_module" and isinstance(modules[str(node.target)], nn.Conv2d) and len(node.users) == 1:
            (reader,) = node.users
            norm = modules.get(str(reader.target)) if reader.op == "call_module" else None
            if isinstance(norm, nn.BatchNorm2d):
                folded[node] = norm
    return folded
