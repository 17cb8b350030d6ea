"""Which of the rules that searches have found is the best: on held-out digits.

No search sees how well a rule's models do on images that were kept apart. So
these are what tells its replicates from each other.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from keras_l2o import evaluation
from keras_l2o import policies
from keras_l2o import problems

#: Problems, and on how many of the images they are trained; `None` is all.
TRAINED = (
    ("mlp_train", None),
    ("mlp_train", 300),
    ("conv_train", None),
    ("conv_train", 300),
)
STEPS = (400, 2000)
RUNS = 3


def validate(rules: Sequence[policies.Policy]) -> list[float]:
    """Trains with each of some rules, side by side.

    Args:
        rules: List of policies that differ in their weights alone.

    Returns:
        List of floats: for each the mean of the logarithm of the last
        validation loss, over the problems, the lengths and the runs.
    """
    logs = []
    for (name, examples), steps in itertools.product(TRAINED, STEPS):
        frame = evaluation.evaluate_replicates(
            list(rules),
            problems.get(name, "digits", examples=examples),
            repeat=RUNS,
            steps=steps,
            epoch_steps=steps,
        )
        losses = frame.groupby("replicate")["validation_loss"]
        logs.append(losses.apply(lambda loss: np.log(loss).mean()))
    return [float(value) for value in np.mean(logs, axis=0)]
