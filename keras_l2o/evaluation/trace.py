"""What an optimizer did during a training, looked at every few steps."""

import numpy as np
from keras import ops

from keras_l2o import backend


class Trace:
    """Records the size of the updates, and a pool's weights, by layer.

    Args:
        model: The model that is trained.
        optimizer: Its optimizer.
        steps: Int. Steps of the whole training.
        every: Int. Steps between two looks; the first step is looked at.
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
        """Call before a step."""
        if step % self.every == 0:
            self._before = self._values()

    def after(self, step):
        """Call after the step."""
        if step % self.every:
            return
        row = step // self.every
        squares = [
            np.mean(np.square(new - old))
            for new, old in zip(self._values(), self._before)
        ]
        # A root of the mean over all of a layer's coordinates.
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
        """What was recorded.

        Returns:
            Dict of arrays: `trace_steps` `(looks,)`; the names `trace_layers`
            and `trace_pool`; `trace_updates` `(looks, layers)`, the root mean
            square of the update; and of an optimizer with a pool
            `trace_weights` `(looks, layers, pool)`, the mean weight of each
            member.
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
    """Names of the layers with trainable variables, and each one's layer."""
    names, numbers, seen = [], [], {}
    for variable in model.trainable_variables:
        owner = variable.path.rsplit("/", 1)[0]
        if owner not in seen:
            seen[owner] = len(names)
            kind = owner.rsplit("/", 1)[-1].rstrip("0123456789").rstrip("_")
            names.append(f"{len(names) + 1} {kind}")
        numbers.append(seen[owner])
    return names, np.array(numbers)
