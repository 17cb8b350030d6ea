"""How many steps a training has, for a policy that reads it."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import LearnedOptimizer
from keras_l2o import optimizer_state
from keras_l2o import policies
from keras_l2o.evaluation import contender
from tests.learned_optimizer.helpers import fit
from tests.learned_optimizer.helpers import network
from tests.learned_optimizer.helpers import random_steps
from tests.learned_optimizer.helpers import weights
from tests.training.test_horizon import Progress

pytestmark = pytest.mark.backend


@keras.saving.register_keras_serializable(package="mine")
class Paced(Progress):
    """A policy of a user's own that reads the horizon."""


class Alike(policies.CoordinatewisePolicy):
    """Coordinatewise, and reads the horizon."""

    reads_horizon = True

    initial_state = Progress.initial_state
    with_horizon = Progress.with_horizon
    update = Progress.update


def built(policy=None, **options):
    """A compiled model whose optimizer has its state."""
    model = network()
    model.compile(LearnedOptimizer(policy or Paced(), **options), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def told(optimizer):
    """Steps made, steps before the training, and the training's."""
    state = optimizer.policy_state
    first, total, _ = state.shared
    return int(state.step), int(first), int(total)


def test_the_policy_is_told_when_its_state_is_made():
    assert told(built(total_steps=8).optimizer) == (0, 0, 8)
    assert told(built().optimizer) == (0, 0, 0)
    model = fit(LearnedOptimizer(Paced(), 0.5, total_steps=16))
    moved = weights(network()) - weights(model)
    np.testing.assert_allclose(moved, 0.5 * np.arange(8).sum() / 16, 1e-4)


def test_a_coordinatewise_policy_is_told_too():
    optimizer = built(Alike(), total_steps=8).optimizer
    assert told(optimizer) == (0, 0, 8)
    state = optimizer_state.make_state(optimizer, [keras.Variable([0.0])])
    assert isinstance(state, optimizer_state.TensorState)


def test_a_horizon_can_be_set_before_and_after_build():
    optimizer = LearnedOptimizer(Paced())
    optimizer.set_horizon(4)
    model = network()
    optimizer.build(model.trainable_variables)
    assert told(optimizer) == (0, 0, 4)
    model.compile(optimizer)
    random_steps(model, range(3))
    optimizer.set_horizon(5)
    assert told(optimizer) == (3, 3, 5)
    optimizer.set_horizon(7, first=-2)
    assert told(optimizer) == (3, -2, 7)
    assert optimizer.horizon == policies.Horizon(-2, 7)
    optimizer.set_horizon(None)
    assert told(optimizer) == (3, 3, 0)
    assert optimizer.total_steps is None


def test_a_member_of_a_pool_is_told_and_its_averages_stay():
    pool = policies.RandomChoice([Paced(), policies.Adam(0.1)])
    model = built(pool, state_dtype="bfloat16", total_steps=8)
    random_steps(model, range(2))
    before = keras.tree.flatten(model.optimizer.policy_state.tensors)
    before = [ops.convert_to_numpy(leaf) for leaf in before]
    model.optimizer.set_horizon(9)
    state = model.optimizer.policy_state
    assert [int(n) for n in state.shared.pool[0]] == [2, 9, 0]
    for old, new in zip(before, keras.tree.flatten(state.tensors)):
        np.testing.assert_array_equal(old, ops.convert_to_numpy(new))


def test_the_horizon_can_be_set_between_epochs():
    class Longer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.set_horizon(4 * (epoch + 1), first=0)

    model = fit(LearnedOptimizer(Paced(), 0.5), callbacks=[Longer()])
    moved = weights(network()) - weights(model)
    expected = 0.5 * (np.arange(4).sum() / 4 + np.arange(4, 8).sum() / 8)
    np.testing.assert_allclose(moved, expected, 1e-4)


def test_a_saved_model_keeps_the_horizon(tmp_path):
    model = built(total_steps=16)
    random_steps(model, range(2))
    model.optimizer.set_horizon(9)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert told(loaded) == (2, 2, 9)
    assert loaded.total_steps == 16


def test_a_state_that_starts_afresh_keeps_the_length(tmp_path):
    model = built(total_steps=16)
    random_steps(model, range(2))
    model.save_weights(tmp_path / "a.weights.h5")
    model.layers[0].trainable = False
    other = LearnedOptimizer(Paced())
    other.build(model.trainable_variables)
    other.set_horizon(9, first=-3)
    model.compile(other)
    with pytest.warns(UserWarning, match="starts afresh"):
        model.load_weights(tmp_path / "a.weights.h5")
    assert told(other) == (0, 0, 9)


def test_a_folder_holds_no_horizon_and_loading_takes_one(tmp_path):
    optimizer = LearnedOptimizer(Paced(), total_steps=16)
    keras_l2o.save(optimizer, tmp_path / "paced")
    custom_objects = {"mine>Paced": Paced}
    loaded = keras_l2o.load(tmp_path / "paced", custom_objects)
    assert loaded.total_steps is None
    for load in keras_l2o.load, keras_l2o.from_hub:
        loaded = load(
            tmp_path / "paced", custom_objects=custom_objects, total_steps=5
        )
        assert loaded.horizon == policies.Horizon(0, 5)


@pytest.mark.quick
def test_its_config_has_it_and_digests_are_what_they_were():
    optimizer = LearnedOptimizer(Paced(), total_steps=16)
    twin = LearnedOptimizer.from_config(optimizer.get_config())
    assert twin.get_config() == optimizer.get_config()
    # The digest that this optimizer had before there was `total_steps`.
    earlier = "d21204f96262c275dd96004ec20fe095eb15f2981b2531b55476945e790f187b"
    digest = contender.contender(policies.SGD(0.1, name="sgd")).digest()
    assert digest == earlier
    with_steps = contender.contender(optimizer).digest()
    assert with_steps != contender.contender(LearnedOptimizer(Paced())).digest()
    assert contender.contender(keras.optimizers.Adam()).digest()


@pytest.mark.quick
@pytest.mark.parametrize("name", ["total_steps", "epoch_steps"])
@pytest.mark.parametrize("steps", [0, -1, 1.5, True, 2**31])
def test_a_wrong_number_of_steps_is_named(name, steps):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer"):
        LearnedOptimizer(Paced(), **{name: steps})


def test_the_policy_is_told_when_examples_come_again(tmp_path):
    model = built(total_steps=16, epoch_steps=4)
    random_steps(model, range(2))
    optimizer = model.optimizer
    assert int(optimizer.policy_state.shared.epoch_steps) == 4
    optimizer.set_horizon(9, epoch_steps=3)
    assert optimizer.horizon == policies.Horizon(2, 9, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert int(loaded.policy_state.shared.epoch_steps) == 3
    assert loaded.epoch_steps == 4
    optimizer.set_horizon(9)
    assert int(optimizer.policy_state.shared.epoch_steps) == 0


@pytest.mark.quick
def test_a_policy_that_reads_none_is_refused_with_the_fix():
    fix = r"callbacks\.Horizon\(\).*CosineDecay\(1\.0, 100\)"
    with pytest.raises(ValueError, match=fix):
        LearnedOptimizer(policies.SGD(0.1), total_steps=100)
    with pytest.raises(ValueError, match=fix):
        LearnedOptimizer(policies.SGD(0.1)).set_horizon(100)
    with pytest.raises(ValueError, match="`epoch_steps` is for a policy that"):
        LearnedOptimizer(policies.SGD(0.1), epoch_steps=5)
