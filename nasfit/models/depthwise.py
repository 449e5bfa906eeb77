"""Depthwise convolution whose gradients are fast on a CPU; the same numbers as torch's own up to rounding.

Measured on x86 with torch 2.14 (oneDNN 3.12): weight gradients of kernels wider than 3, of kernels as tall as the map,
and input gradients of stride 2 in bfloat16 have no fast kernel and take 4 to 70 times as long as their neighbours.

Shapes: B batch, C channels, H and W pixels, k the kernel's side.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# (kernel, stride): height of the lowest maps whose weight gradient is fast with the kernel's whole height at once.
_TALL_FROM = {(3, 1): 3, (3, 2): 4, (5, 1): 5, (5, 2): 5, (7, 1): 7, (7, 2): sys.maxsize}


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether `depthwise_conv2d` computes this: one filter a channel, odd and square, stride 1 or 2, centred."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.groups > 1
        and conv.kernel_size == (kernel, kernel)
        and conv.stride == (stride, stride)
        and (kernel, stride) in _TALL_FROM
        and conv.padding == (kernel // 2, kernel // 2)
        and conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and conv.bias is None
    )


def depthwise_conv2d(maps_BCHW: Tensor, weight_C1kk: Tensor, stride: int) -> Tensor:
    """Depthwise convolution without bias, zeros outside the map.

    k is 3, 5 or 7, stride 1 or 2. The maps' precision is the result's; the weight's gradient has the weight's.
    """
    out_BCHW: Tensor = _Depthwise.apply(maps_BCHW, weight_C1kk, stride)
    return out_BCHW


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps_BCHW: Tensor, weight_C1kk: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(maps_BCHW, weight_C1kk)
        ctx.stride = stride
        kernel = weight_C1kk.shape[2]
        weight_C1kk = weight_C1kk.to(maps_BCHW.dtype)
        return functional.conv2d(maps_BCHW, weight_C1kk, stride=stride, padding=kernel // 2, groups=len(weight_C1kk))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        maps_BCHW, weight_C1kk = ctx.saved_tensors
        out_BCHW = gradients[0].contiguous(memory_format=torch.channels_last)
        of_maps, of_weight = ctx.needs_input_grad[:2]
        return (
            input_gradient(out_BCHW, maps_BCHW, weight_C1kk, ctx.stride) if of_maps else None,
            weight_gradient(out_BCHW, maps_BCHW, weight_C1kk, ctx.stride) if of_weight else None,
            None,
        )


def input_gradient(out_BCHW: Tensor, maps_BCHW: Tensor, weight_C1kk: Tensor, stride: int) -> Tensor:
    """Gradient by the maps, in their precision. out_BCHW: gradient by the result."""
    precision = maps_BCHW.dtype
    if stride == 2 and precision == torch.bfloat16:
        # There is no fast kernel for this in bfloat16.
        out_BCHW, maps_BCHW = out_BCHW.float(), maps_BCHW.float()
    padding = weight_C1kk.shape[2] // 2
    weight_C1kk = weight_C1kk.to(maps_BCHW.dtype)
    return _backward(out_BCHW, maps_BCHW, weight_C1kk, stride, (padding, padding), of_weight=False).to(precision)


def weight_gradient(out_BCHW: Tensor, maps_BCHW: Tensor, weight_C1kk: Tensor, stride: int) -> Tensor:
    """Gradient by the weight, in its precision. out_BCHW: gradient by the result.

    A wide kernel's gradient is put together from pieces three columns wide, each of which is the whole gradient of a
    narrow kernel that sees the maps shifted; pieces overlap by a column.
    """
    kernel = weight_C1kk.shape[2]
    padding = kernel // 2
    tall = maps_BCHW.shape[2] >= _TALL_FROM[kernel, stride]
    if kernel == 3 and tall:
        gradient = _backward(out_BCHW, maps_BCHW, weight_C1kk.to(maps_BCHW.dtype), stride, (1, 1), of_weight=True)
        return gradient.to(weight_C1kk.dtype)
    rows, down = (kernel, [0]) if tall else (3, list(range(0, kernel - 2, 2)))
    piece = maps_BCHW.new_empty(len(weight_C1kk), 1, rows, 3)
    gradient = torch.empty_like(weight_C1kk)
    frame = _Frame(maps_BCHW, 0 if tall else max(2, padding), max(2, padding))
    out_BCHW = frame.matching(out_BCHW, rows, padding if tall else 0, stride)
    for top in down:
        for left in range(0, kernel - 2, 2):
            seen_BCHW = frame.shifted(0 if tall else top - padding, left - padding)
            part = _backward(out_BCHW, seen_BCHW, piece, stride, (padding if tall else 0, 0), of_weight=True)
            gradient[:, :, top : top + rows, left : left + 3] = part
    return gradient


class _Frame:
    """Maps with rows and columns of zeros below and on the right, in memory that can be read from any shift on.

    The zeros at the end of a row come right before the next row, so that maps shifted right see them on their left;
    a shift costs no copy.
    """

    def __init__(self, maps_BCHW: Tensor, rows: int, columns: int) -> None:
        batch, channels, height, width = maps_BCHW.shape
        self._shape = batch, channels, height + rows, width + columns
        row = (width + columns) * channels
        self._strides = (height + rows) * row, 1, row, channels
        # Room for a shift down and right before the first row, and for one up and left behind the last.
        self._first = (rows * (width + columns) + columns) * channels
        self._memory = maps_BCHW.new_zeros(self._first + batch * self._strides[0] + self._first)
        self.shifted(0, 0)[:, :, :height, :width].copy_(maps_BCHW)

    def shifted(self, down: int, right: int) -> Tensor:
        """The framed maps from row `down` and column `right` on, which may be negative."""
        offset = self._first + down * self._strides[2] + right * self._strides[3]
        return self._memory.as_strided(self._shape, self._strides, offset)

    def matching(self, out_BCHW: Tensor, rows: int, padding: int, stride: int) -> Tensor:
        """The result's gradient with zeros where the framed maps give a larger result."""
        high = (self._shape[2] + 2 * padding - rows) // stride + 1 - out_BCHW.shape[2]
        wide = (self._shape[3] - 3) // stride + 1 - out_BCHW.shape[3]
        return functional.pad(out_BCHW, (0, wide, 0, high)) if high or wide else out_BCHW


def _backward(
    out_BCHW: Tensor, maps_BCHW: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], *, of_weight: bool
) -> Tensor:
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        out_BCHW,
        maps_BCHW,
        weight,
        None,
        [stride, stride],
        list(padding),
        [1, 1],
        False,
        [0, 0],
        maps_BCHW.shape[1],
        [not of_weight, of_weight, False],
    )
    return found[of_weight]
