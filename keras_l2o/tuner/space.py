"""The space that is searched: kind, magnitude and steps of a perturbation."""

import inspect
import math

from keras_l2o.perturbations.names import NAMES
from keras_l2o.tuner import keras_tuner_internals

#: Name of the hyperparameter that says which perturbation it is.
KIND = "perturbation"
NONE = "none"

_NOISE = (5e-4, 1e-2)
_ATTACK = (1e-4, 1e-2)

#: Least and greatest magnitude of each kind: the paper's, and for noise on
#: gradients what its recipe uses.
MAGNITUDES = {
    "cgd": _ATTACK,
    "fgsm": _ATTACK,
    "gaussian": _NOISE,
    "gaussian_rel": _NOISE,
    "input_noise": (1e-3, 1e-1),
    "persistent_gaussian": _NOISE,
    "pgd": _ATTACK,
}


class StartsAtDefault(keras_tuner_internals.Choice):
    """A hyperparameter with values to choose from, whose first is its default.

    An oracle that draws at random so starts a search with the default.
    """

    _sampled = False

    def random_sample(self, seed=None):
        if self._sampled:
            return super().random_sample(seed)
        self._sampled = True
        return self.default


# keras-tuner makes copies, such as a trial's, by the class's name: they are
# plain choices.
StartsAtDefault.__name__ = keras_tuner_internals.Choice.__name__


def declare(hp, magnitudes, steps, classes=NAMES):
    """Adds the space to `keras_tuner.HyperParameters`, where it is missing.

    Args:
        hp: The `HyperParameters`.
        magnitudes: Dict from kinds of perturbations to pairs of floats.
        steps: Pair of ints, the least and the most steps of an attack.
        classes: Dict from kinds to their classes.
    """
    kinds = [NONE, *sorted(magnitudes)]
    if KIND not in hp:
        hp.merge([StartsAtDefault(KIND, kinds, ordered=False, default=NONE)])
    for kind, (low, high) in magnitudes.items():
        usual = math.sqrt(low * high)
        if kind in NAMES:
            usual = NAMES[kind]().magnitude
        with hp.conditional_scope(KIND, [kind]):
            hp.Float(
                f"{kind}_magnitude",
                low,
                high,
                sampling="log",
                default=min(max(usual, low), high),
            )
            if takes(classes[kind], "steps"):
                hp.Int(f"{kind}_steps", *steps)


def perturbation(hp, seed=None, classes=NAMES):
    """The perturbation that hyperparameters name, or `None` for none."""
    kind = hp.get(KIND)
    if kind == NONE:
        return None
    arguments = {"magnitude": hp.get(f"{kind}_magnitude")}
    if takes(classes[kind], "steps"):
        arguments["steps"] = hp.get(f"{kind}_steps")
    if takes(classes[kind], "seed"):
        arguments["seed"] = seed
    return classes[kind](**arguments)


def takes(cls, argument):
    """Whether the perturbation's constructor has the argument."""
    return argument in inspect.signature(cls).parameters
