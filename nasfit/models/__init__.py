"""Architecture -> `torch.nn.Module`."""

from nasfit.models.default_boxes import default_boxes
from nasfit.models.detector_network import DetectorNetwork, as_ssd, build_detector, decoded, flattened
from nasfit.models.inheriting import Inheritance, inherited, require_kin
from nasfit.models.network import (
    BN_EPSILON,
    BN_MOMENTUM,
    MobileLayer,
    Network,
    SqueezeExcitation,
    build,
    calm,
    initialise,
    madds_count,
    parameter_count,
)

__all__ = [
    "BN_EPSILON",
    "BN_MOMENTUM",
    "DetectorNetwork",
    "Inheritance",
    "MobileLayer",
    "Network",
    "SqueezeExcitation",
    "as_ssd",
    "build",
    "build_detector",
    "calm",
    "decoded",
    "default_boxes",
    "flattened",
    "inherited",
    "initialise",
    "madds_count",
    "parameter_count",
    "require_kin",
]
