import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import hub
from keras_l2o import policies
from keras_l2o.hub.revive import policy_from_config
from tests.policies.helpers import numpy

pytestmark = pytest.mark.backend

SHAPES = [(3, 2), (4,)]


def wrapped_pool():
    """A pool whose members nest as deep as they may."""
    rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    return [
        keras.optimizers.SGD(rate, momentum=0.9),
        policies.Choice([policies.Adam(0.1), policies.LSTM(units=(2,))]),
    ]


MADE = {
    **{name: (name, {}) for name in policies.names()},
    "trainable": ("adam", {"trainable_hyperparameters": True}),
    "options": (
        "rnnprop",
        {
            "cell_options": {
                "recurrent_activation": "tanh",
                "unit_forget_bias": False,
            }
        },
    ),
    "hard": ("more_choice", {"hardness": 10.0, "rate_scale": 1.0}),
    "seeded": ("random_choice", {"seed": 20210630}),
    "nested": ("less_choice", {"pool": wrapped_pool}),
}


def make(key):
    name, arguments = MADE[key]
    policy = policies.get(
        name, **{k: v() if callable(v) else v for k, v in arguments.items()}
    )
    policy.build(None)
    rng = np.random.default_rng(0)
    policy.set_weights(
        [w + 0.1 * rng.normal(size=w.shape) for w in policy.get_weights()]
    )
    return policy


def run(policy):
    parameters = [ops.ones(shape) for shape in SHAPES]
    state = policy.initial_state(parameters)
    rng = np.random.default_rng(1)
    for _ in range(2):
        gradients = [
            ops.convert_to_tensor(rng.normal(size=shape).astype("float32"))
            for shape in SHAPES
        ]
        updates, state = policy.update(gradients, parameters, state)
    return [numpy(update) for update in updates]


@pytest.mark.parametrize("key", MADE)
def test_every_policy_is_the_same_after_saving_and_loading(key, tmp_path):
    policy = make(key)
    keras_l2o.save(keras_l2o.LearnedOptimizer(policy), tmp_path / "saved")
    loaded = keras_l2o.load(tmp_path / "saved").policy
    assert type(loaded) is type(policy)
    for ours, theirs in zip(run(policy), run(loaded)):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "config",
    [
        {"units": [10**6]},
        {"seed": [10**6]},
        {"time_scale": {"units": 10**6}},
        {"cell_options": {"units": 10**6}},
    ],
    ids=str,
)
def test_a_number_that_may_set_a_size_is_bounded_in_pools_too(config):
    policy = keras.saving.serialize_keras_object(
        policies.Choice([policies.get("less_choice")])
    )
    policy_from_config(policy)
    policy["config"]["pool"][0]["config"].update(config)
    with pytest.raises(hub.FormatError, match="too large"):
        policy_from_config(policy)


def test_pools_are_the_published_ones():
    def rates(name):
        policy = policies.get(name)
        return {
            member_name: member.hyperparameters["learning_rate"]
            for member_name, member in zip(policy.pool_names, policy.pool)
        }

    assert rates("less_choice") == {"rmsprop": 0.005, "adam": 0.02}
    assert rates("less_choice_sgd") == {"sgd": 0.2, "adam": 0.02}
    assert rates("more_choice") == {
        "sgd": 2.0,
        "momentum": 2.0,
        "rmsprop": 0.005,
        "adam": 0.02,
        "powersign": 1.0,
        "addsign": 1.0,
    }
    assert policies.get("less_choice").pool[0].hyperparameters["rho"] == 0.9


def test_teachers_rates_are_those_of_rules_in_the_catalogue():
    for name, rate in policies.TEACHER_RATES.items():
        policy = policies.get(name, learning_rate=rate)
        assert policy.hyperparameters["learning_rate"] == rate


def test_arguments_override_defaults():
    policy = policies.get("more_choice", units=(7,), hardness=2.0)
    assert policy.get_config()["units"] == [7]
    assert policy.hardness == 2.0
    assert len(policy.pool) == 6
    assert policies.get("scale_basic").units == (20,)
    assert policies.get("scale_hierarchical").units == (20, 10, 10)


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'more_choice'"):
        policies.get("mor_choice")
    with pytest.raises(ValueError, match="Known: sgd, momentum"):
        policies.get("zzz")


def test_an_unknown_argument_is_told_the_policys_arguments():
    with pytest.raises(
        ValueError,
        match=r"'rnnprop' has no argument 'learn_rate'.* learning_rate\? It",
    ):
        policies.get("rnnprop", learn_rate=0.1)
    with pytest.raises(ValueError, match=r"It has: .*learning_rate"):
        policies.get("sgd", momentum=0.9)
