"""Perturbations by the names that configurations and the tuner use."""

import difflib
from typing import Any

from keras_l2o.perturbations.cgd import CGD
from keras_l2o.perturbations.fgsm import FGSM
from keras_l2o.perturbations.gaussian import Gaussian
from keras_l2o.perturbations.gaussian import PersistentGaussian
from keras_l2o.perturbations.gaussian import RelativeGaussian
from keras_l2o.perturbations.input_noise import InputNoise
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.perturbations.pgd import PGD

#: The class of each name.
NAMES: dict[str, type] = {
    "cgd": CGD,
    "fgsm": FGSM,
    "gaussian": Gaussian,
    "gaussian_rel": RelativeGaussian,
    "input_noise": InputNoise,
    "persistent_gaussian": PersistentGaussian,
    "pgd": PGD,
}


def get(name: str, **arguments: Any) -> Perturbation:
    """Makes a perturbation from its name in configurations.

    Args:
        name: String, one of `"cgd"`, `"fgsm"`, `"gaussian"`, `"gaussian_rel"`,
            `"input_noise"`, `"persistent_gaussian"` and `"pgd"`.
        **arguments: The arguments of its constructor.

    Returns:
        A `Perturbation`.

    Raises:
        ValueError: There is no perturbation of this name.

    Example:

    >>> keras_l2o.perturbations.get("gaussian", noise_stddev=1e-3).magnitude
    0.001
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, 1, cutoff=0.0)
        raise ValueError(
            f"Unknown perturbation {name!r}. Did you mean {near[0]!r}? "
            f"Available: {', '.join(sorted(NAMES))}."
        )
    return NAMES[name](**arguments)
