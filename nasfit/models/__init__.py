"""Architecture -> `torch.nn.Module`. Detectors are in `detector_network`, which loads torchvision (a second more)."""

from nasfit.models.creating import Created, create_model, created
from nasfit.models.foreign_names import IMAGENET_MEAN, IMAGENET_STD
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
from nasfit.models.weights_file import load_network, read_tensors, read_weights, save_network

__all__ = [
    "BN_EPSILON",
    "BN_MOMENTUM",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Created",
    "Inheritance",
    "MobileLayer",
    "Network",
    "SqueezeExcitation",
    "build",
    "calm",
    "create_model",
    "created",
    "inherited",
    "initialise",
    "load_network",
    "madds_count",
    "parameter_count",
    "read_tensors",
    "read_weights",
    "require_kin",
    "save_network",
]
