import concurrent.futures
import random
import threading
import time

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import problems
from tests.conftest import flat_model
from tests.conftest import tiny_model

pytestmark = pytest.mark.backend


def numpy(tensor):
    return ops.convert_to_numpy(ops.stop_gradient(tensor))


def test_initial_values_follow_the_seed_alone(tiny_problem):
    random.seed(4)
    expected_next = random.Random(4).random()
    first, _ = tiny_problem.initial_values(3)
    assert random.random() == expected_next
    again, _ = tiny_problem.initial_values(3)
    other, _ = tiny_problem.initial_values(4)
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("build", [True, False])
def test_initial_values_have_the_initializers_distribution(tiny_data, build):
    def model():
        return keras.Sequential(
            [
                keras.Input((36,)),
                keras.layers.Dense(
                    200,
                    kernel_initializer=keras.initializers.RandomNormal(3, 2),
                ),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
            ]
        )

    x, y = tiny_data
    problem = problems.Problem(
        model if build else model(), (x.reshape(64, -1), y), batch_size=8
    )
    (kernel, bias, gamma, beta), non_trainable = problem.initial_values(0)
    assert kernel.mean() == pytest.approx(3, abs=0.1)
    assert kernel.std() == pytest.approx(2, abs=0.1)
    assert (bias == 0).all()
    assert (gamma == 1).all()
    assert (beta == 0).all()
    assert len(non_trainable) == len(problem.model.non_trainable_variables)


def test_a_subclassed_model_with_a_config_can_be_made_again(tiny_data):
    @keras.saving.register_keras_serializable(package="tests")
    class Model(keras.Model):
        def __init__(self, width, **kwargs):
            super().__init__(**kwargs)
            self.width = width
            self.flatten = keras.layers.Flatten()
            self.dense = keras.layers.Dense(width)

        def call(self, x):
            return self.dense(self.flatten(x))

        def get_config(self):
            return {**super().get_config(), "width": self.width}

    model = Model(3)
    model(np.zeros((1, 6, 6, 1), "float32"))
    problem = problems.Problem(model, tiny_data, batch_size=8)
    values, _ = problem.initial_values(0)
    assert [v.shape for v in values] == [(36, 3), (3,)]


def test_batches_are_epochs_of_shuffled_examples(tiny_data):
    x, _ = tiny_data
    numbers = np.arange(len(x))
    problem = problems.Problem(tiny_model, (x, numbers), batch_size=16)
    _, drawn = problem.batches(np.random.default_rng(0), 6)
    assert drawn.shape == (6, 16)
    assert sorted(drawn[:4].ravel()) == list(numbers)
    assert len(set(drawn[4:].ravel())) == 32


def test_loss_is_that_of_keras(tiny_problem):
    model = tiny_problem.new_model(0)
    model.compile(loss=tiny_problem.loss)
    x, y = tiny_problem.batches(np.random.default_rng(0), 1)
    expected = model.evaluate(x[0], y[0], verbose=0)
    values = [keras_l2o.backend.read(v) for v in model.trainable_variables]
    value, _ = tiny_problem.loss_value(
        values, [], (ops.convert_to_tensor(x[0]), ops.convert_to_tensor(y[0]))
    )
    assert float(numpy(value)) == pytest.approx(expected, rel=1e-5)


def test_losses_of_layers_are_added(tiny_data):
    def model(factor):
        return keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(
                    3, kernel_regularizer=keras.regularizers.L2(factor)
                ),
            ]
        )

    values = []
    for factor in (0.0, 0.1):
        problem = problems.Problem(
            lambda f=factor: model(f), tiny_data, batch_size=8
        )
        trainable, _ = problem.initial_values(0)
        batch = problem.batches(np.random.default_rng(0), 1)
        value, _ = problem.loss_value(
            [ops.convert_to_tensor(v) for v in trainable],
            [],
            [ops.convert_to_tensor(leaf[0]) for leaf in batch],
        )
        values.append(float(numpy(value)))
    expected = 0.1 * np.sum(trainable[0] ** 2)
    assert values[1] - values[0] == pytest.approx(expected, rel=1e-3)


def test_ravel_undoes_unravel(tiny_problem):
    point = ops.convert_to_tensor(np.arange(tiny_problem.size, dtype="float32"))
    parts = tiny_problem.unravel(point)
    assert [tuple(p.shape) for p in parts] == tiny_problem.trainable_shapes
    np.testing.assert_array_equal(
        numpy(tiny_problem.ravel(parts)), numpy(point)
    )


def test_digest_is_of_the_data(tiny_data):
    x, y = tiny_data
    first = problems.Problem(tiny_model, (x, y), batch_size=8).digest()
    assert (
        first
        == problems.Problem(tiny_model, (x.copy(), y), batch_size=4).digest()
    )
    assert (
        first != problems.Problem(tiny_model, (x + 1, y), batch_size=8).digest()
    )


class NoConfig(keras.Model):
    def __init__(self, width):
        super().__init__()
        self.dense = keras.layers.Dense(width)

    def call(self, x):
        return self.dense(x)


def no_config():
    model = NoConfig(2)
    model(np.zeros((1, 36), "float32"))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: problems.Problem(3, d), "`model` must be a"),
        (
            lambda d: problems.Problem(
                keras.Sequential([keras.layers.Dense(1)]), d
            ),
            "must be built",
        ),
        (
            lambda d: problems.Problem(
                keras.Sequential([keras.Input((2,)), keras.layers.Flatten()]), d
            ),
            "trainable variables",
        ),
        (lambda d: problems.Problem(no_config(), d, batch_size=8), "function"),
        (lambda d: problems.Problem(tiny_model, d, batch_size=65), "64"),
        (lambda d: problems.Problem(tiny_model, 5), "`data` must be"),
        (
            lambda d: problems.Problem(tiny_model, (d[0], d[1][:3])),
            "first axis",
        ),
        (lambda d: problems.get("digit_train"), "Did you mean 'digits_train'"),
    ],
)
def test_bad_arguments_are_named(tiny_data, make, message):
    with pytest.raises(ValueError, match=message):
        make(tiny_data)


def test_threads_that_make_models_at_once_get_the_values_of_their_seeds(
    tiny_problem,
):
    expected = [tiny_problem.initial_values(seed)[0] for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            found = list(pool.map(tiny_problem.initial_values, range(4)))
            for (values, _), right in zip(found, expected):
                for value, other in zip(values, right):
                    np.testing.assert_array_equal(value, other)


def test_models_made_in_a_thread_leave_the_draws_of_others_alone(tiny_problem):
    random.seed(4)
    expected = [random.random() for _ in range(2000)]
    random.seed(4)
    ended = threading.Event()

    def make():
        seed = 0
        while not ended.is_set():
            tiny_problem.new_model(seed)
            seed += 1
        return seed

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        made = pool.submit(make)
        drawn = []
        for _ in expected:
            drawn.append(random.random())
            time.sleep(5e-4)
        ended.set()
        assert made.result() > 3
    assert drawn == expected


def test_a_seed_gives_what_keras_gives_after_setting_it(tiny_problem):
    values, _ = tiny_problem.initial_values(3)
    keras.utils.set_random_seed(3)
    for value, other in zip(values, flat_model().get_weights()):
        np.testing.assert_array_equal(value, other)
