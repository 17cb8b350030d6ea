"""Records what an optimizer does during a training, every few steps."""

import numpy as np
from keras import ops

from keras_l2o import backend


class Trace:
    """Records, layer by layer, the size of updates and the weights of a pool.

    Call `before` and `after` around each step of the training.

    Args:
        model: `keras.Model` that is trained.
        optimizer: Its `keras.optimizers.Optimizer`. If this is a learned
            optimizer whose policy has a pool, the weights of the pool are
            recorded, too.
        steps: Int. Number of steps of the training.
        every: Int. Steps from one record to the next. The first is of step 0.

    Raises:
        ValueError: `every` is less than 1.
    """

    def __init__(self, model, optimizer, steps, every):
        if every < 1:
            raise ValueError(
                "Argument `trace` must be a number of steps, at least 1. "
                f"Received: trace={every}"
            )
        self.optimizer = optimizer
        self.every = every
        self.variables = model.trainable_variables
        self.layers, self._layer_of = _layers(model)
        sizes = [int(np.prod(v.shape)) for v in self.variables]
        shares = np.zeros((len(self.layers), len(sizes)))
        shares[self._layer_of, np.arange(len(sizes))] = sizes
        self._shares = shares / shares.sum(axis=1, keepdims=True)
        self.steps = np.arange(0, steps, every)
        self._updates = np.full((len(self.steps), len(self.layers)), np.nan)
        policy = getattr(optimizer, "policy", None)
        self.pool = list(getattr(policy, "pool_names", ()))
        if not hasattr(policy, "pool_weights"):
            self.pool = []
        self._weights = np.full(
            (len(self.steps), len(self.layers), len(self.pool)), np.nan
        )
        self._before = None

    def before(self, step):
        """Prepares a record, if the step is to be recorded.

        Args:
            step: Int, number of the step that follows, from 0.
        """
        if step % self.every == 0:
            self._before = self._values()

    def after(self, step):
        """Makes a record, if the step is to be recorded.

        Args:
            step: Int, number of the step that has been made, from 0.
        """
        if step % self.every:
            return
        row = step // self.every
        squares = [
            np.mean(np.square(new - old))
            for new, old in zip(self._values(), self._before)
        ]
        # Root of the mean square over all coordinates of a layer.
        self._updates[row] = np.sqrt(self._shares @ squares)
        if self.pool:
            weights = self.optimizer.policy.pool_weights(
                self.optimizer.policy_state
            )
            weights = np.stack([ops.convert_to_numpy(w) for w in weights])
            self._weights[row] = self._shares @ weights

    def _values(self):
        return [
            np.array(ops.convert_to_numpy(backend.read(v)), "float64")
            for v in self.variables
        ]

    def arrays(self):
        """The records.

        Returns:
            Dict of arrays:

            - `trace_steps`, `(records,)`, numbers of the recorded steps;
            - `trace_layers`, `(layers,)`, and `trace_pool`, `(pool,)`, names;
            - `trace_updates`, `(records, layers)`, root mean squares of the
              updates; NaN if the training has ended before;
            - `trace_weights`, `(records, layers, pool)`, mean weights of the
              pool's members; only if the optimizer has a pool.
        """
        arrays = {
            "trace_steps": self.steps,
            "trace_layers": np.array(self.layers),
            "trace_pool": np.array(self.pool, dtype=str),
            "trace_updates": self._updates,
        }
        if self.pool:
            arrays["trace_weights"] = self._weights
        return arrays


def _layers(model):
    """Names of the layers, and an array with the layer number of each variable.

    Only trainable variables, and layers that have some, count.
    """
    names, numbers, seen = [], [], {}
    for variable in model.trainable_variables:
        owner = variable.path.rsplit("/", 1)[0]
        if owner not in seen:
            seen[owner] = len(names)
            kind = owner.rsplit("/", 1)[-1].rstrip("0123456789").rstrip("_")
            names.append(f"{len(names) + 1} {kind}")
        numbers.append(seen[owner])
    return names, np.array(numbers)
