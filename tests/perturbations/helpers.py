import keras
import numpy as np
from keras import ops

import keras_l2o
from keras_l2o.perturbations import Perturbation


def trainer(problem, teachers=(), **options):
    keras.utils.set_random_seed(3)
    arguments = dict(unroll=4, tasks=1, depth=1)
    return keras_l2o.MetaTrainer(
        student=keras_l2o.policies.RNNProp(units=(4,)),
        teachers=list(teachers),
        problems=problem,
        **{**arguments, **options},
    )


def steps(model, perturbations, epochs=1, callbacks=()):
    """The loss of each of some outer steps."""
    return model.fit(
        epochs=epochs,
        steps_per_epoch=1,
        verbose=0,
        validation_data=False,
        callbacks=[*perturbations, *callbacks],
    ).history["loss"]


def losses_at_rest(problem, perturbations, epochs=1, callbacks=()):
    """As `steps`, of a student whose weights stay as they are.

    The outer rate is zero: what moves the weights could only be the noise.
    Whatever the callbacks turn, the outer step is traced once.
    """
    model = trainer(problem)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    before = model.student.get_weights()
    traces = []
    step = model.outer_step
    model.outer_step = lambda data: traces.append(0) or step(data)
    losses = steps(model, perturbations, epochs, callbacks)
    if not (model.run_eagerly or keras.backend.backend() == "torch"):
        assert len(traces) == 1
    for old, new in zip(before, model.student.get_weights()):
        np.testing.assert_array_equal(old, new)
    return losses


class Spy(Perturbation):
    """Keeps the weights that the perturbations before it leave."""

    def __init__(self):
        super().__init__(0.0)
        self.seen = None

    def attack(self, weights, gradient):
        self.seen = [ops.convert_to_numpy(weight) for weight in weights]
        return weights


def moves(problem, *perturbations):
    """How far the perturbations move the stored weights, and these."""
    model = trainer(problem)
    model.compile(optimizer=keras.optimizers.SGD(0.0), run_eagerly=True)
    spy = Spy()
    steps(model, [*perturbations, spy])
    stored = model.student.get_weights()[: len(spy.seen)]
    return [new - old for new, old in zip(spy.seen, stored)], stored


def outer_gradient(problem):
    """The outer gradient, by what plain gradient descent makes of it."""
    model = trainer(problem)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        gradient_clipping=None,
        run_eagerly=True,
    )
    before = model.student.get_weights()
    steps(model, [])
    return [a - b for a, b in zip(before, model.student.get_weights())]


def norms(tensors):
    return np.array([np.linalg.norm(tensor) for tensor in tensors])
