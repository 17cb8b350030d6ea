"""Scale against the paper's equations, transcribed one by one in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_l2o import policies
from tests.policies.helpers import numpy
from tests.policies.helpers import randomize
from tests.policies.helpers import sigmoid

pytestmark = pytest.mark.backend

SHAPES = [(3, 2), (4,)]
UNITS = (4, 3, 2)
STEPS = 5
RNG = np.random.default_rng(4)
GRADIENTS = [
    [RNG.normal(size=s).astype("float32") for s in SHAPES] for _ in range(STEPS)
]


def updates(policy, gradients=GRADIENTS):
    parameters = [ops.zeros(g.shape) for g in gradients[0]]
    state, result = policy.initial_state(parameters), []
    for step in gradients:
        update, state = policy.update(
            [ops.convert_to_tensor(g) for g in step], parameters, state
        )
        result.append([numpy(u) for u in update])
    return result, state


def gru(weights, x, h, injected):
    """A GRU whose gates get a bias from another network."""
    kernel, recurrent, (bias_x, bias_h) = weights
    ours, theirs = np.split(kernel, [x.shape[-1]])
    z, r, c = np.split(x @ ours + bias_x + injected @ theirs, 3, -1)
    hz, hr, hc = np.split(h @ recurrent + bias_h, 3, -1)
    z, r = sigmoid(z + hz), sigmoid(r + hr)
    return z * h + (1 - z) * np.tanh(c + r * hc)


class Paper:
    """Wichrowska et al. (2017), section 3, one tensor after another.

    In the odd form the network of coordinates reads magnitudes, and says how
    the averages are weighed.
    """

    def __init__(self, weights, levels, odd):
        self.odd = odd
        gamma, offset, *weights = weights
        self.lr_momentum, self.lr_offset = sigmoid(gamma), offset
        self.cells = [weights[3 * i : 3 * i + 3] for i in range(levels)]
        rest = weights[3 * levels :]
        self.w_d, self.w_g = rest[:2]
        (self.w_eta, self.b_eta), (self.w_beta, self.b_beta) = (
            rest[2:4],
            rest[4:6],
        )
        self.w_lambda, self.b_lambda = rest[6:8]
        self.levels = levels
        self.tensors = [
            {
                "g": np.zeros((np.prod(s), 4)),
                "lam": np.zeros((np.prod(s), 4)),
                "eta": np.full((np.prod(s), 1), np.log(1e-3)),
                "h": np.zeros((np.prod(s), UNITS[0])),
                "tensor": np.zeros(UNITS[1] if levels > 1 else 0),
            }
            for s in SHAPES
        ]
        self.whole = np.zeros(UNITS[2] if levels > 2 else 0)

    def step(self, gradients):
        result = []
        for t, gradient in zip(self.tensors, gradients):
            g = gradient.astype("float64").reshape(-1, 1)
            exponent = 2.0 ** -np.arange(4)
            beta = sigmoid(t["h"] @ self.w_beta + self.b_beta) ** exponent
            lam = sigmoid(t["h"] @ self.w_lambda + self.b_lambda) ** exponent
            t["g"] = beta * t["g"] + (1 - beta) * g
            t["lam"] = lam * t["lam"] + (1 - lam) * t["g"] ** 2
            m = t["g"] / np.sqrt(t["lam"])
            log = np.log(t["lam"])
            relative = log - log.mean(1, keepdims=True)
            eta_rel = t["eta"] - t["eta"].mean()
            read = np.abs(m) if self.odd else m
            x = np.concatenate([read, relative, eta_rel], 1)
            t["h"] = gru(self.cells[0], x, t["h"], t["tensor"])
            d = t["h"] @ self.w_d
            if self.odd:
                d = (d * m).sum(1, keepdims=True)
            d = d + m @ self.w_g
            d = d / np.sqrt(np.mean(d**2))
            eta = t["eta"] + t["h"] @ self.w_eta + self.b_eta
            t["eta"] = self.lr_momentum * t["eta"] + (
                (1 - self.lr_momentum) * eta
            )
            result.append(
                (np.exp(eta + self.lr_offset) * d).reshape(gradient.shape)
            )
        if self.levels > 1:
            for t in self.tensors:
                t["tensor"] = gru(
                    self.cells[1], t["h"].mean(0), t["tensor"], self.whole
                )
        if self.levels > 2:
            mean = np.mean([t["tensor"] for t in self.tensors], 0)
            self.whole = gru(self.cells[2], mean, self.whole, np.zeros(0))
        return result


@pytest.mark.parametrize("odd", [False, True], ids=["paper", "odd"])
@pytest.mark.parametrize("levels", [1, 2, 3], ids=["basic", "two", "three"])
def test_every_level_is_the_papers_but_for_what_makes_it_odd(levels, odd):
    policy = policies.Scale(units=UNITS[:levels], odd=odd)
    paper = Paper(randomize(policy, scale=0.4), levels, odd)
    found, _ = updates(policy)
    for update, gradients in zip(found, GRADIENTS):
        for ours, theirs in zip(update, paper.step(gradients)):
            np.testing.assert_allclose(ours, theirs, 1e-3, 1e-6)


def test_an_untrained_one_starts_at_its_rate_and_decays():
    policy = policies.Scale()
    policy.build(None)
    ((update, _),), state = updates(policy, GRADIENTS[:1])
    root = np.sqrt(np.mean(update**2))
    np.testing.assert_allclose(root, 1e-3 * np.exp(1e-2), 1e-4)
    tensor = state.tensors[0]
    g, powers = GRADIENTS[0][0], 2.0 ** -np.arange(4)[:, None, None]
    momenta = (1 - 0.9**powers) * g
    np.testing.assert_allclose(numpy(tensor.momenta), momenta, 1e-4)
    squares = (1 - 0.999**powers) * momenta**2
    np.testing.assert_allclose(numpy(tensor.squares), squares, 1e-3)


def test_networks_above_carry_what_one_tensor_sees_to_another():
    changed = [[g[0] * 5.0 * (-1) ** i, g[1]] for i, g in enumerate(GRADIENTS)]
    for units, talks in [((4,), False), ((4, 3), False), (UNITS, True)]:
        policy = policies.Scale(units=units)
        randomize(policy)
        other, _ = updates(policy, changed)
        found, _ = updates(policy)
        same = np.allclose(found[-1][1], other[-1][1], 1e-6, 0.0)
        assert same != talks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": ()}, "`units` must name 1 to 3 widths"),
        ({"units": (4, 3, 2, 1)}, "`units` must name 1 to 3 widths"),
        ({"units": (4, 0)}, "`units` must name 1 to 3 widths"),
        ({"timescales": 0}, "`timescales` must be an integer of at least 1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be .* above 0"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        policies.Scale(**options)
