"""What an outer loop carries from one outer step to the next."""

from typing import Any
from typing import NamedTuple


class Shared(NamedTuple):
    """What all replicates have in common.

    These are values that callbacks may change, and the states of random
    generators.
    """

    meta_weight: Any  # scalar
    imitation_weight: Any  # scalar
    learning_rate: list  # of one scalar, or of none if a schedule gives it
    noise: list  # of the variables of perturbations and estimator


class OuterState(NamedTuple):
    """All that an outer step reads and changes, as tensors or as variables."""

    weights: list  # of the student's trainable variables
    frozen: list  # of the student's other variables
    optimizer: list  # of the outer optimizer's variables, but for the rate
    carries: list  # for each problem, what its tasks go on from
    validation: list  # for each problem, where its rollouts stand
    metrics: list  # of the metrics' variables
    steps: Any  # int32 scalar, outer steps so far
    shared: Shared

    @property
    def own(self):
        """The state without what all replicates share."""
        return self._replace(shared=())
