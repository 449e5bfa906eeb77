"""Architecture -> `torch.nn.Module`."""

from nasfit.models.network import (
    BN_EPSILON,
    BN_MOMENTUM,
    MobileLayer,
    Network,
    SqueezeExcitation,
    build,
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
    "initialise",
    "madds_count",
    "parameter_count",
]
