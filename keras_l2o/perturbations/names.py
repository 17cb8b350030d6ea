"""Perturbations by the names that configurations and the tuner use."""

from typing import Any

from keras_l2o.perturbations.cgd import CGD
from keras_l2o.perturbations.fgsm import FGSM
from keras_l2o.perturbations.gaussian import Gaussian
from keras_l2o.perturbations.gaussian import PersistentGaussian
from keras_l2o.perturbations.gaussian import RelativeGaussian
from keras_l2o.perturbations.input_noise import InputNoise
from keras_l2o.perturbations.perturbation import Perturbation
from keras_l2o.perturbations.pgd import PGD
from keras_l2o.registry import Registry

#: The class of each name.
NAMES = Registry(
    "perturbation",
    {
        "cgd": CGD,
        "fgsm": FGSM,
        "gaussian": Gaussian,
        "gaussian_rel": RelativeGaussian,
        "input_noise": InputNoise,
        "persistent_gaussian": PersistentGaussian,
        "pgd": PGD,
    },
)


def register(name: str, cls: type) -> None:
    """Lets configurations and the tuner name a perturbation of your own.

    Args:
        name: String.
        cls: Subclass of `Perturbation`.

    Raises:
        ValueError: There is another perturbation of this name.

    Example:

    >>> class Shake(keras_l2o.perturbations.Gaussian):
    ...     pass
    >>> keras_l2o.perturbations.register("shake", Shake)
    >>> keras_l2o.perturbations.get("shake", magnitude=0.5).magnitude
    0.5
    """
    NAMES.register(name, cls)


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
    return NAMES.find(name)(**arguments)
