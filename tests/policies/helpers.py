"""A policy's path on fixed gradients, and what references need for it."""

import numpy as np
from keras import ops

SHAPE = (3, 4)
GRADIENTS = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype("float32")


def updates(policy, gradients=GRADIENTS):
    """A policy's updates, `(steps, *shape)`."""
    if not policy.built:
        policy.build(None)
    parameters = [ops.zeros(gradients.shape[1:])]
    state = policy.initial_state(parameters)
    result = []
    for gradient in gradients:
        (update,), state = policy.update(
            [ops.convert_to_tensor(gradient)], parameters, state
        )
        result.append(numpy(update))
    return np.stack(result)


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


def randomize(policy, seed=1, scale=1.0):
    """Builds a policy and draws its weights; returns them in float64."""
    policy.build(None)
    rng = np.random.default_rng(seed)
    weights = [
        scale * rng.normal(size=w.shape).astype(w.dtype)
        for w in policy.get_weights()
    ]
    policy.set_weights(weights)
    return [np.asarray(w, "float64") for w in weights]


def moments(gradients=GRADIENTS):
    """Gradient, both moments and the step's number, step by step."""
    m, v = np.zeros(gradients.shape[1:]), np.zeros(gradients.shape[1:])
    for t, g in enumerate(gradients.astype("float64"), 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        yield g, m, v, t


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Cells:
    """LSTM cells on top of each other, in NumPy."""

    def __init__(self, weights, widths, coordinates):
        self.weights = [weights[3 * i : 3 * i + 3] for i in range(len(widths))]
        self.states = [(np.zeros((coordinates, n)),) * 2 for n in widths]

    def step(self, x, feed_all=False):
        features = x
        for index, (w, u, b) in enumerate(self.weights):
            hidden, memory = self.states[index]
            i, f, c, o = self.gates(x, hidden, w, u, b)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(c)
            x = sigmoid(o) * np.tanh(memory)
            self.states[index] = (x, memory)
            if feed_all:
                x = np.concatenate([x, features], 1)
        return x

    def gates(self, x, hidden, w, u, b):
        return np.split(x @ w + hidden @ u + b, 4, axis=1)


class OddCells(Cells):
    """Cells whose gates read magnitudes and whose candidates have no bias."""

    def gates(self, x, hidden, w, u, b):
        size = len(b)
        gates = np.abs(x) @ w[:, :size] + np.abs(hidden) @ u[:, :size] + b
        i, f, o = np.split(gates, 3, axis=1)
        return i, f, x @ w[:, size:] + hidden @ u[:, size:], o
