"""The few numbers of `General` that a search over trainings changes."""

import jax.numpy as jnp
import keras
import numpy as np

from keras_l2o import policies
from keras_l2o.policies import tensor_rates
from keras_l2o.policies.directions import ADAM

#: How far a number goes in one unit of the search, by what it is. Those that
#: are not here stay as they are.
SPREADS = {
    "matrix": 0.3,
    "vector": 0.4,
    "size of a matrix": 0.2,
    "smallness of a matrix": 0.25,
    "size of a vector": 0.25,
    "signal": 0.12,
    "evenness": 0.15,
    "fall": 0.1,
    "rows": 0.2,
    "columns": 0.12,
    "length": 0.12,
    "tensors": 0.2,
    "steps": 0.12,
    "passes": 0.1,
    "memory": 0.04,
    "decay": 0.3,
}
DIRECTIONS, NORMALIZATION, MIX = (0.4, 0.0, 0.2, 0.2), 0.2, 0.3
#: The same for the decay of matrices.
SHRINKAGE = {
    "matrix": 1.2,
    "size of a matrix": 0.4,
    "signal": 0.4,
    "evenness": 0.4,
    "fall": 0.6,
    "rows": 0.4,
    "tensors": 0.4,
    "steps": 0.4,
    "passes": 0.35,
    "memory": 0.1,
}
#: And for the odds of what is orthogonalized.
ODDS = {"matrix": 1.2}


class Numbers:
    """The numbers of a policy, as one row whose units are alike.

    Args:
        policy: A built `policies.General` with `orthogonal=True`.
    """

    def __init__(self, policy: policies.General) -> None:
        self.policy = policy
        self.variables = policy.trainable_variables
        self.starts = [keras.ops.convert_to_numpy(v) for v in self.variables]
        #: For each number, the variable, the place in it, and the spread.
        self.places: list[tuple[int, tuple[int, ...], float]] = []
        rows = {name: i for i, name in enumerate(tensor_rates.LOG_RATE)}
        for column, spreads in enumerate((SPREADS, SHRINKAGE, ODDS)):
            for name, spread in spreads.items():
                self._add(policy.rates.linear, (rows[name], column), spread)
        for index, spread in enumerate(DIRECTIONS):
            if index != ADAM:
                self._add(policy.direction.readout.bias, (index,), spread)
        self._add(policy.normalization, (), NORMALIZATION)
        for variable in policy.mix:
            self._add(variable, (), MIX)

    def _add(self, variable, place, spread):
        index = [v is variable for v in self.variables].index(True)
        self.places.append((index, place, spread))

    def __len__(self) -> int:
        return len(self.places)

    def weights(self, setting):
        """The policy's weights at a setting, and a factor of 1."""
        weights = [jnp.asarray(start) for start in self.starts]
        for (index, place, spread), value in zip(self.places, setting):
            weights[index] = weights[index].at[place].add(spread * value)
        return weights, 1.0

    def assign(self, setting: np.ndarray) -> None:
        """Gives the policy the weights at a setting."""
        weights, _ = self.weights(jnp.asarray(setting, "float32"))
        for variable, value in zip(self.variables, weights):
            variable.assign(value)
