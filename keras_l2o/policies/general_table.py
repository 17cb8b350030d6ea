"""`General`'s step for a table, of which it sees some rows.

Rates are read from means over the whole table, and what is orthogonal from
products of its columns. They are kept as sums over rows, which change by what
the rows at hand had and have, and decay as all rows do.
"""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_l2o.policies.clock import Clock
from keras_l2o.policies.directions import ADAM
from keras_l2o.policies.directions import DECAYS
from keras_l2o.policies.orthogonal import right_factor
from keras_l2o.policies.policy import Policy
from keras_l2o.policies.policy import PolicyState
from keras_l2o.policies.rows import Sums
from keras_l2o.policies.runs import Run
from keras_l2o.policies.tensor_rates import DIRECTION
from keras_l2o.policies.tensor_rates import SECOND
from keras_l2o.policies.tensor_rates import Measures
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor

#: After so many steps the parameters' squares are summed anew: others than the
#: optimizer may change them.
ANEW = 100
#: Momenta of which products of columns are kept: Adam's and the slow one.
PAIRS = ((ADAM, ADAM), (ADAM, -1), (-1, -1))


class TablePolicy(Policy):
    """What `General` does for tables."""

    rests = True

    def rested(self, tensor: Nest, steps: Tensor) -> Nest:
        lost = ops.power(self.decays()[:, None, None], steps[None])
        return tensor._replace(averages=tensor.averages * lost)

    def sums_of_table(self, tensor: Nest) -> Tensor:
        figures = _of_averages(self, tensor.averages)
        # The squares of the parameters are not known.
        return ops.concatenate([-ops.ones_like(figures[:1]), figures])

    def update_table(
        self, table: Any, state: PolicyState, whole: Nest, sums: Tensor
    ) -> tuple[Nest, Tensor]:
        dtype, columns = self.variable_dtype, table.shape[1]
        orthogonal = _orthogonal(self, columns)
        clock = Clock.of(state, dtype, self.warmup)
        corrections = clock.corrections((*DECAYS, self.beta_2))
        squares = ops.cond(
            ops.logical_or(sums[0] < 0, ops.equal(state.step % ANEW, 0)),
            lambda: _squares(ops.cast(table.parameter(), dtype)),
            lambda: sums[0],
        )

        def look(gradient, parameter, tensor):
            run = Run([0], [gradient], [parameter], [tensor], Sums)
            found = self.find_directions(run, clock, False)
            shape = (len(DECAYS) + 1, -1, columns)
            averages = ops.reshape(found.averages, shape)
            kept = [found.direction, found.decaying]
            figures = [found.means[DIRECTION]]
            if orthogonal:
                kept.append(found.mixed)
                mixed = ops.reshape(found.mixed, shape[1:])
                figures.append(_products(mixed, mixed))
            figures += [
                _of_averages(self, a) for a in (tensor.averages, averages)
            ]
            kept = ops.stack([ops.reshape(k, shape[1:]) for k in kept], axis=1)
            return (averages, kept), ops.concatenate(figures)

        kept, figures = table.look(look)
        size = columns**2 if orthogonal else 0
        direction, mixed, before, after = ops.split(
            figures, np.cumsum([1, size, sums.shape[0] - 1]).tolist()
        )
        others = _fading(self, columns) * (sums[1:] - before)
        averages = others + after
        momentum, second, root = ops.unstack(ops.maximum(averages[:3], 0.0), 3)
        means = [
            squares,
            direction[0],
            momentum * ops.square(corrections[ADAM]),
            second * corrections[-1],
            root * ops.sqrt(corrections[-1]),
        ]
        means = [ops.reshape(m, (1,)) / math.prod(table.shape) for m in means]
        peak = ops.maximum(whole[0], means[SECOND][0])
        measures = Measures._make([*means, peak[None]])
        factors, decays, sizes = self.find_factors(
            measures, [table.shape], table.tensors, clock
        )
        right = None
        if orthogonal:
            gram = self._gram(others[3:], columns, corrections)
            gram = gram + ops.reshape(mixed, gram.shape)
            right = right_factor(gram, table.shape[0], self.epsilon)
            right = sizes[0] * right

        def step(gradient, parameter, tensor, kept):
            averages, kept = kept
            change = factors[0] * kept[:, 0] + decays[0] * kept[:, 1]
            if orthogonal:
                change = change + ops.matmul(kept[:, 2], right)
            return change, tensor._replace(averages=averages)

        squares = squares + table.step(step, kept)
        return [peak], ops.concatenate([squares[None], averages])

    def _gram(self, products, columns, corrections):
        """Products of columns of what is orthogonalized, of rows that wait."""
        products = ops.reshape(products, (len(PAIRS), columns, columns))
        fast, both, slow = ops.unstack(products, len(PAIRS))
        share, slow_share = corrections[ADAM], self.mix[0] * corrections[-2]
        gram = ops.square(share) * fast + ops.square(slow_share) * slow
        return gram + share * slow_share * (both + ops.transpose(both))


def _orthogonal(policy, columns):
    return policy.orthogonal and columns > 1


def _squares(tensor):
    return ops.sum(ops.square(tensor))


def _products(left, right):
    return ops.reshape(ops.matmul(ops.transpose(left), right), (-1,))


def _of_averages(policy, averages):
    """Sums over the rows of a state, before corrections."""
    momentum, second = averages[ADAM], averages[-1]
    figures = [_squares(momentum), ops.sum(second), ops.sum(ops.sqrt(second))]
    figures = ops.stack(figures)
    if not _orthogonal(policy, averages.shape[-1]):
        return figures
    momenta = averages[:-1]
    products = [_products(momenta[i], momenta[j]) for i, j in PAIRS]
    return ops.concatenate([figures, *products])


def _fading(policy, columns):
    """By how much each of these sums decays in a step."""
    second = policy.beta_2
    fading = np.array([DECAYS[ADAM] ** 2, second, math.sqrt(second)])
    if _orthogonal(policy, columns):
        products = [DECAYS[i] * DECAYS[j] for i, j in PAIRS]
        fading = np.append(fading, np.repeat(products, columns**2))
    return ops.convert_to_tensor(fading, policy.variable_dtype)
