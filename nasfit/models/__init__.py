"""Architecture -> `torch.nn.Module`."""

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
    "MobileLayer",
    "Network",
    "SqueezeExcitation",
    "build",
    "calm",
    "initialise",
    "madds_count",
    "parameter_count",
]
