"""A part of each kind from outside the package: a class, and a line for it."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import config
from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o import training
from keras_l2o.training import estimators
from tests.training.helpers import everything_finite
from tests.training.helpers import weights

pytestmark = pytest.mark.backend


@keras.saving.register_keras_serializable(package="own_parts")
class SignRule(policies.Policy):
    """The gradient's sign at a rate whose logarithm is trained."""

    def build(self, input_shape=None):
        self.rate = self.add_weight(shape=(), initializer="zeros", name="rate")
        self.built = True

    def initial_state(self, parameters):
        return policies.PolicyState(
            ops.zeros((), "int32"), ((),) * len(parameters)
        )

    def update(self, gradients, parameters, state, training=False):
        rate = 0.01 * ops.exp(ops.convert_to_tensor(self.rate))
        updates = [
            None if gradient is None else rate * ops.sign(gradient)
            for gradient in gradients
        ]
        return updates, state._replace(step=state.step + 1)


class Shift(perturbations.Perturbation):
    """Adds the magnitude to every weight."""

    def __init__(self, magnitude=0.1):
        super().__init__(magnitude, seed=0)

    def attack(self, weights, gradient):
        size = ops.convert_to_tensor(self.magnitude)
        return [weight + size for weight in weights]


class LastLoss(training.Objective):
    """The loss of the last inner step, and no imitation."""

    def meta_loss(self, records):
        return records.losses[-1]

    def imitation_loss(self, records):
        return ops.zeros(())


class Differences(estimators.Estimator):
    """Central differences, one weight after the other."""

    def __init__(self, width=0.01):
        self.width = width

    def estimate(self, task, weights):
        start = task.together(task.fresh())
        (rate,) = weights
        above = task.run([rate + self.width], start)
        below = task.run([rate - self.width], start)
        slope = (above.losses[0] - below.losses[0]) / (2 * self.width)
        end = task.run(weights, start)
        figures = task.figures(end)
        return task.result(
            [slope], task.next_start(end, figures.finite), figures
        )

    def get_config(self):
        return {"width": self.width}


ENTRY = problems.Entry(
    "digits",
    lambda shape, classes: keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    ),
    batch_size=16,
)


@pytest.fixture(autouse=True)
def registered(registries):
    policies.register("own_sign", SignRule)
    perturbations.register("own_shift", Shift)
    problems.register("own_linear", ENTRY)
    estimators.register("own_differences", Differences)


def test_own_parts_train_together_and_are_found_by_name():
    model = keras_l2o.MetaTrainer(
        policies.get("own_sign"),
        [policies.SGD(0.1)],
        "own_linear",
        objective=LastLoss(kind="ratio", relative=False),
        unroll=3,
        depth=1,
        tasks=1,
        validation_tasks=1,
        estimator="own_differences",
    )
    model.compile(keras.optimizers.SGD(0.1))
    before = weights(model)
    history = model.fit(
        epochs=1,
        steps_per_epoch=1,
        verbose=0,
        callbacks=[perturbations.get("own_shift")],
    ).history
    assert (weights(model) != before).all()
    assert everything_finite(model)
    assert history["imitation_loss"] == [0.0]
    assert isinstance(model.to_optimizer().policy, SignRule)


def test_own_estimator_agrees_with_the_exact_gradient():
    """Of one truncation: what differences say and what backprop says."""

    def slope(estimator):
        student = SignRule()
        student.build()
        model = keras_l2o.MetaTrainer(
            student,
            [],
            "own_linear",
            unroll=3,
            depth=1,
            tasks=1,
            validation_tasks=1,
            parameter_scale_spread=0.0,
            estimator=estimator,
        )
        model.compile(keras.optimizers.SGD(1.0), gradient_clipping=None)
        model.fit(epochs=1, steps_per_epoch=1, verbose=0)
        return -weights(model)[0]

    assert slope(Differences()) == pytest.approx(
        slope(estimators.TruncatedBackprop()), rel=0.05
    )


def test_configurations_name_own_parts():
    configuration = config.resolve(
        policy="own_sign",
        overrides=[
            ("problems", [{"name": "own_linear"}]),
            ("training/estimator/name", "own_differences"),
            ("training/estimator/config/width", 0.5),
            ("policy/perturbation/name", "own_shift"),
            ("policy/perturbation/config/magnitude", 0.25),
        ],
    )
    built = config.build(configuration)
    assert isinstance(built.trainer.student, SignRule)
    assert built.trainer.problems[0].name == "own_linear"
    assert built.trainer.estimator.width == 0.5
    assert np.isclose(built.callbacks[1].magnitude, 0.25)


@pytest.mark.parametrize(
    ("register", "name", "other"),
    [
        (policies.register, "own_sign", policies.SGD),
        (perturbations.register, "pgd", Shift),
        (problems.register, "own_linear", ENTRY._replace(epochs=3)),
        (estimators.register, "pes", Differences),
    ],
)
def test_a_name_that_is_taken_is_an_error(register, name, other):
    with pytest.raises(ValueError, match=f"named '{name}' already"):
        register(name, other)
