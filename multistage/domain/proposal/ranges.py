"""Which values of a config are hyperparameters, and the range that is searched around a usual value."""

import math
import re
from collections.abc import Mapping

from multistage.domain.runs.results import Value
from multistage.domain.space.defaults import GUIDE_PARAMETERS
from multistage.domain.space.field_ranges import find_bare_name, find_field_range
from multistage.domain.space.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    PowerOfTwoParameter,
    is_power_of_two,
)

MOST_SWEPT = 5
"""Hyperparameters that are proposed; more of them dilute a night's runs."""
DECADE = 10.0
"""Factor to both sides of a usual value that is searched by its order of magnitude."""
SMALL_COUNT = 16
"""Whole numbers up to this one are searched one by one, not by their order of magnitude."""


def _compile(words: str) -> re.Pattern[str]:
    """Compile words between blanks, each a part of a name that underscores, dots, slashes and hyphens set apart."""
    return re.compile(rf"(^|[_./-])({'|'.join(words.split())})([_./-]|\d*$)", re.IGNORECASE)


_NAME = re.compile(r"[A-Za-z0-9_./-]+")
"""What may be swept."""
_SEED = re.compile(r"(^|[./])((random|manual|global|rng|np|torch)_)?(seed|random_state)$", re.IGNORECASE)
_LENGTH = re.compile(
    r"(^|[./])((num|n|max|total|train|training|env|learner)_?)*(epochs?|time_?steps|iters?|iterations?|updates)$"
    r"|(^|[./])((total|max|train|training|num_train|n_train)_?)+(env_)?steps$|(^|[./])steps$",
    re.IGNORECASE,
)
_FEW_EPOCHS = re.compile(r"(^|[./])(n_epochs|update_epochs|num_sgd_iter|ppo_epochs)$", re.IGNORECASE)
"""Epochs over one batch of experience: a hyperparameter, and no length."""
_RATE = _compile(r"lr \w*learning_?rate")
_BATCH = _compile(r"batch_?size batch")
_TINY = _compile(r"weight_?decay wd l1 l2 reg alpha ent_coef entropy_coef")
_EPSILON = _compile(r"eps epsilon adam_epsilon")
_EVALUATING = _compile(r"eval val test")
_NEAR_ONE = _compile(r"gamma gae_lambda lambda momentum beta_?[12]? betas adam_beta[12] decay discount polyak ema")
_SHARE = _compile(
    r"dropout drop p prob ratio fraction frac smoothing subsample clip_range clip_coef clip label_smoothing temperature"
)
_SIZE = _compile(
    r"batch batch_?size minibatch_?size n_steps num_steps hidden hidden_?size hidden_?dim width units layers? depth "
    r"channels embed\w* n_estimators max_depth min_samples\w* num_leaves n_neighbors n_epochs update_epochs "
    r"num_minibatches warmup\w* kernel_?size latent_?dim"
)
_COEFFICIENT = _compile(r"\w*_coef\w* tau \w*grad_norm scale temp margin lambda_\w+ beta coef")
_ORDER = (_RATE, _BATCH, _TINY, _NEAR_ONE, _SHARE, _COEFFICIENT, _SIZE, _EPSILON)
"""What matters most first."""
_USUAL: tuple[Value, ...] = (1e-3, 64, 1e-4, 0.99, 0.1, 0.5, 32, 1e-8)
"""Of each of them."""
_SWITCH = re.compile(r"(^|[._/-])(use|is|no|with|do|enable|has)_", re.IGNORECASE)
_NO_CHOICE = _compile(
    r"seed device gpus? cuda workers? num_workers threads? rank world local_rank port id version interval freq\w* "
    r"every logging log save\w* eval\w* verbose debug max_?len\w* vocab\w* num_classes n_classes num_labels input\w* "
    r"output\w* in_\w+ out_\w+ n_envs num_envs timeout year date limit print\w* token\w* total\w* checkpoint\w* "
    r"patience bits? hub ddp\w* fsdp\w* prefetch\w* index count"
)


def is_seed(name: str) -> bool:
    """Return whether a name is a seed's."""
    return _SEED.search(name) is not None


def is_length(name: str) -> bool:
    """Return whether a name says how long a training is."""
    return _LENGTH.search(name) is not None and not _FEW_EPOCHS.search(name)


def rank_name(name: str, known: Mapping[str, Parameter] = GUIDE_PARAMETERS, usual: Value | None = None) -> int | None:
    """Return how much a hyperparameter usually matters, by its name; the lower the more.

    Args:
        name: As the config has it, with dots where it is nested.
        known: Parameters with a range of their own.
        usual: Its usual value: no whole number above 1 is a rate.

    Returns:
        None where the name says that it is none, or nothing.
    """
    if is_seed(name) or is_length(name) or _EVALUATING.search(name):
        return None
    for rank, words in enumerate(_ORDER):
        if words.search(name):
            return None if words is _RATE and isinstance(usual, int) and usual > 1 else rank
    return len(_ORDER) if find_bare_name(name) in known else None


def is_apart(name: str) -> bool:
    """Return whether a name is of something that nobody tunes, such as a port or how often something is saved."""
    return (
        not _NAME.fullmatch(name)
        or is_seed(name)
        or is_length(name)
        or (_NO_CHOICE.search(name) is not None and rank_name(name) is None)
    )


def guess_usual(name: str, known: Mapping[str, Parameter] = GUIDE_PARAMETERS) -> Value | None:
    """Guess the usual value of a hyperparameter that its script has none for; None where nothing tells."""
    if _SWITCH.search(name):
        return False
    if is_length(name):
        return 10
    given = known.get(find_bare_name(name))
    if given is not None:
        return given.from_unit(0.5)
    rank = rank_name(name, known)
    return None if is_seed(name) or rank is None else _USUAL[rank]


def propose_range(
    name: str, usual: Value, known: Mapping[str, Parameter] = GUIDE_PARAMETERS, choices: tuple[Value, ...] = ()
) -> Parameter | None:
    """Propose what is searched: a known range where the usual value lies in it, else one around that value.

    Args:
        name: As it is swept.
        usual: Its usual value.
        known: Ranges by name.
        choices: What the script says that it takes.

    Returns:
        The parameter; its range holds the usual value. None where none can be told, as for a path.
    """
    given = known.get(find_bare_name(name)) or _find_field_range(name)
    if given is not None and given.contains(usual):
        return given.model_copy(update={"name": name})
    if isinstance(usual, bool):
        return CategoricalParameter(name=name, choices=(True, False))
    if usual in choices and len(choices) > 1:
        return CategoricalParameter(name=name, choices=tuple(dict.fromkeys(choices)))
    if isinstance(usual, int):
        return _surround_count(name, usual)
    return _surround_number(name, usual) if isinstance(usual, float) and math.isfinite(usual) else None


def _find_field_range(name: str) -> Parameter | None:
    """The field's range of a hyperparameter; of a learning rate the script's usual value tells more."""
    found = None if _RATE.search(name) else find_field_range(name)
    return found.parameter if found else None


def _surround_count(name: str, usual: int) -> Parameter | None:
    if usual < 0 or (usual == 0 and rank_name(name) is None):
        return None
    if usual >= 8 and is_power_of_two(usual):
        return PowerOfTwoParameter(name=name, low=usual // 4, high=usual * 4)
    if usual <= SMALL_COUNT:
        return IntParameter(name=name, low=min(1, usual), high=max(2 * usual, 3))
    return IntParameter(name=name, low=_round(usual / 4), high=_round(usual * 4), scale="log")


def _surround_number(name: str, usual: float) -> Parameter | None:
    if _NEAR_ONE.search(name) and 0.5 < usual < 1:
        away = 1 - usual
        return _build(name, max(0.0, 1 - 4 * away), 1 - away / 4, digits=6)
    if _SHARE.search(name) and 0 <= usual < 1:
        return _build(name, 0.0, min(1.0, max(2 * usual, 0.5)) if usual < 0.5 else 1.0)
    if usual == 0:
        return _build(name, 0.0, 0.1) if rank_name(name) is not None else None
    if usual < 0:
        return _build(name, 2 * usual, 0.0)
    wide = _RATE.search(name) or _TINY.search(name) or usual < 0.01
    return _build(name, usual / (DECADE if wide else 4), usual * (DECADE if wide else 4), is_log=True)


def _build(name: str, low: float, high: float, *, is_log: bool = False, digits: int = 3) -> FloatParameter:
    low, high = (float(f"{bound:.{digits}g}") for bound in (low, high))
    return FloatParameter(name=name, low=low, high=high, scale="log" if is_log else "linear")


def _round(number: float) -> int:
    return int(float(f"{number:.2g}"))
