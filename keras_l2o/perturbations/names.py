import difflib

from keras_l2o.perturbations.cgd import CGD
from keras_l2o.perturbations.fgsm import FGSM
from keras_l2o.perturbations.gaussian import Gaussian
from keras_l2o.perturbations.gaussian import PersistentGaussian
from keras_l2o.perturbations.gaussian import RelativeGaussian
from keras_l2o.perturbations.input_noise import InputNoise
from keras_l2o.perturbations.pgd import PGD

NAMES = {
    "cgd": CGD,
    "fgsm": FGSM,
    "gaussian": Gaussian,
    "gaussian_rel": RelativeGaussian,
    "input_noise": InputNoise,
    "persistent_gaussian": PersistentGaussian,
    "pgd": PGD,
}


def get(name, **arguments):
    """Makes a perturbation from the name that a configuration gives it.

    Args:
        name: String, such as `"pgd"`.
        **arguments: The constructor's arguments.

    Example:

    >>> keras_l2o.perturbations.get("gaussian", noise_stddev=1e-3)
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, 1, cutoff=0.0)
        raise ValueError(
            f"Unknown perturbation {name!r}. Did you mean {near[0]!r}? "
            f"Available: {', '.join(sorted(NAMES))}."
        )
    return NAMES[name](**arguments)
