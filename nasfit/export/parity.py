"""Does the exported file compute what the module computes?"""

from __future__ import annotations

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from nasfit.errors import TrialFailure
from nasfit.export.onnx_writer import INPUT_NAME


def check_parity(module: nn.Module, onnx_bytes: bytes, inputs_BCHW: Tensor, tolerance: float = 1e-4) -> float:
    """Largest |file - module| over the largest |module|, with the file run in ONNX Runtime image by image.

    The module is put in evaluation mode for the check and back. tolerance: 1e-4 leaves room for float32 sums taken in
    another order and for nothing else. Raises TrialFailure when it is passed, or when either gives no finite number.
    """
    expected_BK = _module_logits(module, inputs_BCHW)
    got_BK = _file_logits(onnx_bytes, inputs_BCHW.detach().float().cpu().numpy())
    if got_BK.shape != expected_BK.shape:
        raise TrialFailure(f"the exported file gives shape {got_BK.shape}, the module {expected_BK.shape}")
    if not (np.isfinite(expected_BK).all() and np.isfinite(got_BK).all()):
        raise TrialFailure("the network gives logits that are not finite; train it with a lower learning rate")
    scale = max(float(np.abs(expected_BK).max()), 1e-12)
    difference = float(np.abs(got_BK - expected_BK).max()) / scale
    if difference > tolerance:
        raise TrialFailure(
            f"the exported file differs from the module by {difference:.2g} of the largest logit (allowed "
            f"{tolerance:.2g}); do not ship it, and report the architecture"
        )
    return difference


def _module_logits(module: nn.Module, inputs_BCHW: Tensor) -> np.ndarray:
    modes = [(part, part.training) for part in module.modules()]
    place = next((parameter.device for parameter in module.parameters()), inputs_BCHW.device)
    try:
        with torch.no_grad():
            logits_BK: np.ndarray = module.eval()(inputs_BCHW.to(place)).float().cpu().numpy()
    finally:
        for part, training in modes:
            part.training = training
    return logits_BK


def _file_logits(onnx_bytes: bytes, inputs_BCHW: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    rows = [session.run(None, {INPUT_NAME: inputs_BCHW[index : index + 1]})[0] for index in range(len(inputs_BCHW))]
    return np.concatenate(rows)
