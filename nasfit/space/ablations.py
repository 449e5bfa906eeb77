"""Spaces that leave out one idea of the paper each: the `mnasnet` space with one decision fixed, or without its blocks.

After Tan et al. 2019, sections 4.1 and 6.4 and tables 5 and 6. `mnasnet-no-se` has no squeeze-and-excitation;
`mnasnet-mbconv3-k3` and its three sisters one layer everywhere, with filters and numbers of layers still searched;
`mnasnet-flat` chooses each of MobileNetV2's 15 layers on its own, where `mnasnet` repeats one layer through a block.
The paper's cell space is not among them: its cells were never published.
"""

from __future__ import annotations

from dataclasses import replace

from nasfit.architecture import Block
from nasfit.space.space import BlockChoices, SearchSpace


def ablations(mnasnet: SearchSpace) -> tuple[SearchSpace, ...]:
    """The spaces, from the published one."""
    one_op = [
        _changed(mnasnet, f"mnasnet-{op}-k{kernel}", ops=(op,), kernels=(kernel,), se_ratios=(0.0,), skips=_IDENTITY)
        for op in ("mbconv3", "mbconv6")
        for kernel in (3, 5)
    ]
    return _changed(mnasnet, "mnasnet-no-se", se_ratios=(0.0,)), *one_op, _flat(mnasnet)


_IDENTITY = ("identity",)


def _changed(space: SearchSpace, name: str, **choices: tuple[object, ...]) -> SearchSpace:
    blocks = [
        replace(block, **choices) if isinstance(block, BlockChoices) else block  # type: ignore[arg-type]
        for block in space.blocks
    ]
    return replace(space, name=name, blocks=tuple(blocks))


def _flat(space: SearchSpace) -> SearchSpace:
    blocks: list[Block | BlockChoices] = []
    for block in space.blocks:
        if isinstance(block, BlockChoices):
            number = sorted(block.layers)[len(block.layers) // 2]
            blocks += [replace(block, layers=(1,), stride=block.stride if place == 0 else 1) for place in range(number)]
        else:
            blocks.append(block)
    return replace(space, name="mnasnet-flat", blocks=tuple(blocks))
