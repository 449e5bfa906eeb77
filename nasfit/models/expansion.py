"""Convolution of one pixel, batch norm and ReLU as one step whose normalisation costs next to nothing.

Where a convolution has several times as many channels out as in, most time goes into normalising what comes out. But
mean and variance of a linear map follow from those of its input: with weights W (O, I), and mean m and covariance C of
the input's channels, channel o has mean (W m)_o and variance (W C W^T)_oo. So scale and offset are known before the
product is computed and are folded into its weights, as is done for inference. Exact up to rounding.

Shapes: B batch, I and O channels in and out, H and W pixels, N = B * H * W.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Fewer channels out than this many times those in are normalised faster as they come.
WORTHWHILE = 2


def is_expansion(conv: nn.Module, norm: nn.Module) -> bool:
    """Whether `expanded` computes these two modules, one after the other, and is faster."""
    return (
        type(conv) is nn.Conv2d
        and type(norm) is nn.BatchNorm2d
        and (conv.kernel_size, conv.stride, conv.padding, conv.groups) == ((1, 1), (1, 1), (0, 0), 1)
        and conv.bias is None
        and norm.affine
        and norm.track_running_stats
        and norm.momentum is not None
        and conv.out_channels >= WORTHWHILE * conv.in_channels
    )


def expanded(maps_BIHW: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    """relu(norm(conv(maps))), or without the ReLU, as in training; the norm's running statistics move.

    The result has the maps' precision and lies in channels-last memory.
    """
    out_BOHW, mean_O, variance_O = _Expansion.apply(
        maps_BIHW.contiguous(memory_format=torch.channels_last), conv.weight, norm.weight, norm.bias, norm.eps, relu
    )
    number = out_BOHW.numel() // out_BOHW.shape[1]
    with torch.no_grad():
        assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
        assert norm.momentum is not None, "see `is_expansion`"
        norm.running_mean.lerp_(mean_O, norm.momentum)
        norm.running_var.lerp_(variance_O * (number / max(1, number - 1)), norm.momentum)
        norm.num_batches_tracked.add_(1)
    result: Tensor = out_BOHW
    return result


class _Expansion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps_BIHW: Tensor, weight_OI11: Tensor, scale_O: Tensor, offset_O: Tensor, epsilon: float, relu: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, channels, height, width = maps_BIHW.shape
        maps_NI = maps_BIHW.permute(0, 2, 3, 1).reshape(-1, channels)
        weight_OI = weight_OI11.flatten(1)
        # Statistics in the weights' precision, whatever the maps'.
        exact_NI = maps_NI.to(weight_OI.dtype)
        mean_I = exact_NI.mean(0)
        covariance_II = torch.addmm(torch.outer(mean_I, mean_I), exact_NI.T, exact_NI, beta=-1, alpha=1 / len(exact_NI))
        spread_OI = weight_OI @ covariance_II
        variance_O = (spread_OI * weight_OI).sum(1).clamp_min_(0)
        inverse_O = (variance_O + epsilon).rsqrt_()
        folded_OI = weight_OI * (scale_O * inverse_O)[:, None]
        shift_O = torch.addmv(offset_O, folded_OI, mean_I, alpha=-1)
        used_OI = folded_OI.to(maps_NI.dtype)
        out_NO = torch.addmm(shift_O.to(maps_NI.dtype), maps_NI, used_OI.T)
        if relu:
            out_NO.relu_()
        out_BOHW = out_NO.view(batch, height, width, -1).permute(0, 3, 1, 2)
        ctx.relu = relu
        ctx.save_for_backward(maps_NI, weight_OI, scale_O, mean_I, spread_OI, inverse_O, used_OI, out_NO)
        mean_O = weight_OI @ mean_I
        ctx.mark_non_differentiable(mean_O, variance_O)
        return out_BOHW, mean_O, variance_O

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps_NI, weight_OI, scale_O, mean_I, spread_OI, inverse_O, used_OI, out_NO = ctx.saved_tensors
        shape = gradients[0].shape
        of_out_NO = gradients[0].permute(0, 2, 3, 1).reshape(out_NO.shape)
        if ctx.relu:
            of_out_NO = torch.ops.aten.threshold_backward(of_out_NO, out_NO, 0)
        of_shift_O = of_out_NO.sum(0, dtype=weight_OI.dtype)
        of_folded_OI = (of_out_NO.T @ maps_NI).to(weight_OI.dtype).addr_(of_shift_O, mean_I, alpha=-1)
        of_factor_O = (of_folded_OI * weight_OI).sum(1)
        of_variance_O = of_factor_O * scale_O * inverse_O.pow(3) * -0.5
        of_weight_OI = of_folded_OI * (scale_O * inverse_O)[:, None]
        of_weight_OI.addcmul_(spread_OI, of_variance_O[:, None], value=2)
        of_maps_NI = None
        if ctx.needs_input_grad[0]:
            # By the covariance, and by the mean inside it and inside the shift.
            mixing_II = (weight_OI.T @ (weight_OI * of_variance_O[:, None])).mul_(2 / len(maps_NI))
            of_mean_I = (weight_OI.T @ (scale_O * inverse_O * of_shift_O)).div_(-len(maps_NI)).sub_(mean_I @ mixing_II)
            precision = maps_NI.dtype
            of_maps_NI = torch.addmm(of_mean_I.to(precision), maps_NI, mixing_II.to(precision))
            of_maps_NI = of_maps_NI.addmm_(of_out_NO, used_OI).view(shape[0], *shape[2:], -1).permute(0, 3, 1, 2)
        return of_maps_NI, of_weight_OI[:, :, None, None], of_factor_O * inverse_O, of_shift_O, None, None
