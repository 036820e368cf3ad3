"""The guide's defaults: what a sweep does where its user said nothing."""

from collections.abc import Mapping
from types import MappingProxyType

from multistage.domain.space.parameters import FloatParameter, Parameter, PowerOfTwoParameter

GUIDE_PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            FloatParameter(name="gae_lambda", low=0.8, high=0.99),
            FloatParameter(name="vf_coef", low=0.1, high=1.0),
            FloatParameter(name="ent_coef", low=0.0, high=0.05),
            FloatParameter(name="policy_lr", low=1e-4, high=1e-2, scale="log"),
            FloatParameter(name="clip_range", low=0.1, high=0.3),
            PowerOfTwoParameter(name="n_steps", low=64, high=1024),
            PowerOfTwoParameter(name="batch_size", low=256, high=4096),
            FloatParameter(name="gamma", low=0.95, high=0.999),
        )
    }
)
"""The ranges of parameters that may be named without one. The guide gives the bounds; the scales are this
project's."""

GUIDE_METRIC = "train/roll/ep_rew/mean"
