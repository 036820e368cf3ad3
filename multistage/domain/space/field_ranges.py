"""What the field calls its hyperparameters, and the ranges that it searches them over, each with its source."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.parameters import FloatParameter, IntParameter, Parameter, PowerOfTwoParameter

PPO_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "learning_rate": ("learning_rate", "lr", "policy_lr", "policy_learning_rate", "actor_lr", "step_size"),
        "clip_eps": (
            "clip_eps", "clip_epsilon", "clip_range", "clip_coef", "clip_param", "clip_ratio", "eps_clip", "ratio_clip",
            "clipping_epsilon", "cliprange", "clip",
        ),
        "ent_coef": (
            "ent_coef", "ent_coeff", "entropy_coef", "entropy_coeff", "entropy_cost", "entropy_eps",
            "entropy_loss_scale", "beta_entropy",
        ),
        "gae_lambda": ("gae_lambda", "lambda", "lambda_", "lam", "lmbda", "gae_lam", "lambda_gae"),
        "max_grad_norm": ("max_grad_norm", "grad_clip", "grad_norm_clip", "max_gradient_norm", "clip_grad_norm"),
        "normalize_advantage": (
            "normalize_advantage", "normalize_advantages", "norm_adv", "norm_advantage", "advantage_normalization",
        ),
        "vf_clip_eps": ("vf_clip_eps", "clip_range_vf", "vf_clip_param", "value_clip", "clip_value", "cliprange_value"),
        "vf_coef": (
            "vf_coef", "vf_coeff", "vf_loss_coeff", "vf_loss_coef", "value_coef", "value_coeff", "value_loss_coef",
            "value_loss_coeff", "value_loss_scale", "critic_coef", "critic_coeff",
        ),
    }
)  # fmt: skip
"""What PPO's hyperparameters are called in CleanRL, Stable-Baselines3, gymnasium-solver, RLlib, Tianshou, TorchRL,
skrl, Spinning Up and PureJaxRL."""


class FieldRange(NamedTuple):
    """A range that the field uses."""

    names: tuple[str, ...]
    """Under which libraries and scripts have the hyperparameter."""
    parameter: Parameter
    source: str
    """Who searches it."""


GUIDE = "the guide"
ZOO = "RL Baselines3 Zoo"
"""Its samplers: rl_zoo3/hyperparams_opt.py; where they choose among values, from the least to the largest."""


def _take_guide(name: str, names: tuple[str, ...]) -> FieldRange:
    return FieldRange(names, GUIDE_PARAMETERS[name], GUIDE)


FIELD_RANGES: tuple[FieldRange, ...] = (
    FieldRange(
        PPO_NAMES["learning_rate"],
        FloatParameter(name="learning_rate", low=1e-5, high=1e-2, scale="log"),
        f"from below by {ZOO}, from above by {GUIDE}",
    ),
    FieldRange(PPO_NAMES["clip_eps"], FloatParameter(name="clip_range", low=0.1, high=0.4), ZOO),
    _take_guide("ent_coef", PPO_NAMES["ent_coef"]),
    _take_guide("gae_lambda", ("gae_lambda", "gae_lam", "lambda_gae")),
    _take_guide("vf_coef", PPO_NAMES["vf_coef"]),
    _take_guide("gamma", ("gamma", "discount", "discount_factor")),
    FieldRange(
        ("n_steps", "num_steps", "rollout_steps", "rollout_length", "horizon"),
        PowerOfTwoParameter(name="n_steps", low=32, high=2048),
        ZOO,
    ),
    FieldRange(
        ("n_epochs", "update_epochs", "num_sgd_iter", "ppo_epochs"), IntParameter(name="n_epochs", low=1, high=20), ZOO
    ),
    FieldRange(
        ("max_grad_norm", "max_gradient_norm", "grad_norm_clip", "clip_grad_norm"),
        FloatParameter(name="max_grad_norm", low=0.3, high=2.0),
        ZOO,
    ),
    FieldRange(
        ("tau", "target_tau", "soft_tau", "polyak_tau"),
        FloatParameter(name="tau", low=1e-3, high=0.08, scale="log"),
        ZOO,
    ),
    FieldRange(
        ("exploration_fraction", "eps_decay_fraction"),
        FloatParameter(name="exploration_fraction", low=0.0, high=0.5),
        ZOO,
    ),
    FieldRange(
        ("exploration_final_eps", "end_e", "epsilon_end", "final_epsilon"),
        FloatParameter(name="exploration_final_eps", low=0.0, high=0.2),
        ZOO,
    ),
    FieldRange(("learning_starts",), IntParameter(name="learning_starts", low=0, high=20_000), ZOO),
    FieldRange(
        ("buffer_size", "replay_buffer_size", "replay_size", "memory_size"),
        IntParameter(name="buffer_size", low=10_000, high=1_000_000, scale="log"),
        ZOO,
    ),
)
"""What RL's hyperparameters are searched over, by whoever has published it."""


def find_bare_name(name: str) -> str:
    """Find the last part of a name that dots or slashes nest, with underscores for hyphens."""
    return name.rpartition(".")[2].rpartition("/")[2].replace("-", "_")


def find_field_range(name: str) -> FieldRange | None:
    """Find the field's range of a hyperparameter by its name.

    Args:
        name: As a script has it: nested by dots or slashes, or hyphened, too.

    Returns:
        The range, under that very name; None where the field has none.
    """
    bare = find_bare_name(name).lower()
    found = next((one for one in FIELD_RANGES if bare in one.names), None)
    return found._replace(parameter=found.parameter.model_copy(update={"name": name})) if found else None
