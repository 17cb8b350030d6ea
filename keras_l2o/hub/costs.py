"""What a rule keeps and computes, told from its policy alone."""

import math
from typing import NamedTuple

import keras
import numpy as np

from keras_l2o.policies import Policy
from keras_l2o.policies import orthogonal

#: The training that a cost is of: a dense layer of as many inputs as outputs,
#: a step of which reads so many examples.
WIDTH = 256
EXAMPLES = 128
#: Multiplications of such a layer for each parameter and example: forwards,
#: for the gradient of the inputs, and for that of the parameters.
PASSES = 3


class Costs(NamedTuple):
    """What a rule costs beside what the model costs.

    Attributes:
        state: Float. Numbers that are kept for each parameter.
        multiplications: Float. What the rule's matrix products multiply in a
            step, for each parameter.
        cost: Float. The multiplications of a training step over those of the
            same step with Adam, which has no matrix products.
    """

    state: float
    multiplications: float
    cost: float


def of(policy: Policy) -> Costs:
    """Counts what a policy keeps and multiplies, training a dense layer.

    Each weight of a network counts as applied once to each parameter. So many
    multiplications are what makes rules differ; arithmetic without products,
    such as that of averages, is in all rules about as much as in Adam, and is
    left out. A convolution multiplies each parameter more often than a dense
    layer does, so that there, and with more examples, a rule costs less.

    Args:
        policy: A `Policy`, which is built.

    Returns:
        `Costs`.
    """
    layer = np.zeros((WIDTH, WIDTH), "float32")
    state = policy.initial_state([layer])
    kept = sum(
        math.prod(tensor.shape) for tensor in keras.tree.flatten(state.tensors)
    )
    products = float(
        sum(
            math.prod(weight.shape)
            for weight in policy.weights
            if len(weight.shape) > 1
        )
    )
    if getattr(policy, "orthogonal", False):
        products += orthogonal.multiplications(WIDTH, WIDTH) / layer.size
    return Costs(
        state=round(kept / layer.size, 2),
        multiplications=products,
        cost=1.0 + products / (PASSES * EXAMPLES),
    )
