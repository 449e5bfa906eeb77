"""Architecture -> `torch.nn.Module`."""

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
    "Inheritance",
    "MobileLayer",
    "Network",
    "SqueezeExcitation",
    "build",
    "calm",
    "inherited",
    "initialise",
    "madds_count",
    "parameter_count",
    "require_kin",
]
