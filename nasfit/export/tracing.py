"""`torch.nn.Module` -> `Program`, with torch.fx."""

from __future__ import annotations

import torch
from torch import fx, nn

from nasfit.errors import TrialFailure
from nasfit.export.evaluation_mode import evaluating
from nasfit.export.folding import folded
from nasfit.export.operators import FUNCTIONS, METHODS, MODULES
from nasfit.export.program import Operator, Program
from nasfit.export.shapes import output_shape
from nasfit.export.traced_call import TracedCall

INPUT_NAME = "image"
OUTPUT_NAME = "logits"


def trace_program(module: nn.Module, input_shape: tuple[int, int, int]) -> Program:
    """The module in evaluation mode, as operators. input_shape: (C, H, W) of a picture.

    Batch norm, zero padding and ReLU are folded into the operators before or after where nothing else reads what lies
    between; operators that no output needs are left out. The module takes one tensor and returns one or a tuple of
    them; it is put in evaluation mode for the trace and back. Raises TrialFailure naming what cannot be written.
    """
    # torch.fx sees calls inside the module alone, so that a bare layer needs something around it.
    root = nn.Sequential(module) if type(module) in MODULES else module
    with evaluating(root), torch.no_grad():
        try:
            trace = fx.Tracer().trace(root)
        except Exception as error:  # torch.fx lets errors of any kind out of the traced forward
            raise TrialFailure(f"cannot trace {type(module).__name__} for export: {error}") from error
        return _program(dict(root.named_modules()), trace, input_shape)


def output_names(program: Program) -> tuple[str, ...]:
    """What files call the outputs: `logits`; `output_0`, `output_1` and so on where there are several."""
    if len(program.outputs) == 1:
        return (OUTPUT_NAME,)
    return tuple(f"output_{number}" for number in range(len(program.outputs)))


def _program(modules: dict[str, nn.Module], trace: fx.Graph, input_shape: tuple[int, int, int]) -> Program:
    names: dict[fx.Node, str] = {}
    shapes: dict[str, tuple[int, ...]] = {INPUT_NAME: input_shape}
    operators: list[Operator] = []
    outputs: tuple[str, ...] = ()
    for node in trace.nodes:
        if node.op == "placeholder":
            if names:
                raise TrialFailure(f"cannot export a network of several inputs; found {node.name!r} as another")
            names[node] = INPUT_NAME
        elif node.op == "output":
            outputs = _outputs(node, names)
        else:
            made = _read(TracedCall(node, _tensor_name(node), names, shapes), modules)
            if isinstance(made, str):
                names[node] = made
                continue
            names[node] = made.output
            shapes[made.output] = output_shape(made, shapes)
            operators.append(made)
    operators = folded(operators, outputs)
    live = {INPUT_NAME, *(operator.output for operator in operators)}
    return Program(
        INPUT_NAME, outputs, tuple(operators), {name: shape for name, shape in shapes.items() if name in live}
    )


def _outputs(node: fx.Node, names: dict[fx.Node, str]) -> tuple[str, ...]:
    returned = node.args[0]
    tensors = returned if isinstance(returned, tuple | list) else (returned,)
    if not tensors or not all(isinstance(tensor, fx.Node) for tensor in tensors):
        raise TrialFailure(f"cannot export a network that returns {returned!r}; return one tensor or a tuple of them")
    return tuple(names[tensor] for tensor in tensors if isinstance(tensor, fx.Node))


def _tensor_name(node: fx.Node) -> str:
    """The node's name; a dot, which no node has, keeps it apart from names that files give to inputs and outputs."""
    taken = node.name in (INPUT_NAME, OUTPUT_NAME) or node.name.startswith("output_")
    return f"{node.name}.inside" if taken else node.name


def _read(call: TracedCall, modules: dict[str, nn.Module]) -> Operator | str:
    node = call.node
    if node.op == "call_module":
        module = modules[str(node.target)]
        if type(module) not in MODULES:
            raise TrialFailure(f"cannot export module {node.target!r}: no operator is known for {module}")
        return MODULES[type(module)](call, module)
    if node.op == "call_function" and node.target in FUNCTIONS:
        return FUNCTIONS[node.target](call)
    if node.op == "call_method" and node.target in METHODS:
        return METHODS[str(node.target)](call)
    raise TrialFailure(f"cannot export {node.format_node()}: no operator is known for it")
