"""One call of a torch.fx trace, read with the tensors made before it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from nasfit.errors import TrialFailure


@dataclass(frozen=True)
class TracedCall:
    """A node of the trace.

    name: of the tensor it makes. names: of the tensor of every node before it. shapes: of these, without the batch.
    """

    node: fx.Node
    name: str
    names: dict[fx.Node, str]
    shapes: dict[str, tuple[int, ...]]

    def tensor(self, position: int = 0) -> str:
        """Name of the tensor at this argument. Raises TrialFailure where it is a plain number."""
        argument = self.node.args[position] if len(self.node.args) > position else None
        if not isinstance(argument, fx.Node):
            raise TrialFailure(f"cannot export {self.node.format_node()}: {argument!r} is not a tensor of the network")
        return self.names[argument]

    def argument(self, position: int, keyword: str, default: object) -> object:
        """A plain argument given by position or keyword."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return self.node.kwargs.get(keyword, default)

    def unsupported(self, why: str) -> TrialFailure:
        """The failure to raise for a setting that no file can express here."""
        return TrialFailure(f"cannot export {self.node.target!s} ({self.node.op}): {why}")
