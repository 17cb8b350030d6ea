"""Which tensors go through a rule together, on the device at hand."""

import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras

from keras_l2o import backend
from keras_l2o.policies.blocks import Blocks
from keras_l2o.policies.rows import Rows
from keras_l2o.policies.rows import grouped

#: Small tensors go through the network together, until there are so many
#: coordinates. What tensors share is then computed once.
GROUP = 2**18
#: On an accelerator all tensors go through it in as few runs as possible. One
#: joins so many tensors at most: XLA joins more in two steps
#: (`VariadicOpSplitter`: 128 operands, here tensors and zeros between them).
MOST_JOINED = 60
#: And so many coordinates, where what is computed on the way needs memory.
UNFUSED = 2**24


class Run:
    """Tensors that go through a network of coordinates together.

    Args:
        indices: List of ints, which of the model's tensors they are.
        gradients, parameters, states: Lists, of all of the model's tensors.
        layout: `Rows` or `Blocks`.
    """

    def __init__(
        self,
        indices: Sequence[int],
        gradients: Sequence[Any],
        parameters: Sequence[Any],
        states: Sequence[Any],
        layout: type[Rows] | type[Blocks],
    ) -> None:
        self.indices = indices
        self.gradients = [gradients[index] for index in indices]
        self.parameters = [parameters[index] for index in indices]
        self.states = [states[index] for index in indices]
        self.shapes = [tuple(gradient.shape) for gradient in self.gradients]
        self.layout = layout(self.shapes)


class Found(NamedTuple):
    """What is found of a run before its rates."""

    averages: Any  # (4, coordinates)
    direction: Any  # (coordinates,)
    decaying: Any  # what decays at a rate of one, (coordinates,)
    mixed: Any  # what is orthogonalized, (coordinates,), or `None`
    means: Any  # all `Measures` but the last: a list of (tensors,)


def together(
    gradients: Sequence[Any],
    parameters: Sequence[Any],
    states: Sequence[Any],
    training: bool,
    fused: bool,
) -> list[list[Run]]:
    """Runs of all tensors that have a gradient.

    Args:
        gradients: List of tensors, `None` where there is none.
        parameters, states: Lists of the same length.
        training: Bool. Whether the rule is differentiated.
        fused: Bool. Whether what is computed on the way needs no memory.

    Returns:
        List of lists of `Run`. The rates of each of these lists are found at
        once: on a processor those of one run, while it is in the cache.
    """
    present = [i for i, g in enumerate(gradients) if g is not None]
    sizes = [math.prod(gradients[i].shape) for i in present]
    in_blocks = _in_blocks(training)
    if in_blocks:
        cuts = grouped(sizes, math.inf if fused else UNFUSED, MOST_JOINED)
    else:
        cuts = grouped(sizes, GROUP)
    runs = [
        Run(
            [present[position] for position in cut],
            gradients,
            parameters,
            states,
            Blocks if in_blocks else Rows,
        )
        for cut in cuts
    ]
    if in_blocks:
        return [runs] if runs else []
    return [[run] for run in runs]


def _in_blocks(training):
    """Whether few operations matter more than what is near in memory.

    Not if they are differentiated, and not if tensors are cut over several
    devices, where joined ones would have to be brought together.
    """
    sharded = isinstance(
        keras.distribution.distribution(), keras.distribution.ModelParallel
    )
    return not (training or sharded or backend.on_processor())
