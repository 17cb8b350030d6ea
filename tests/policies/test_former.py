import json

import keras
import pytest

from keras_l2o import policies
from keras_l2o.policies import former

#: What a policy was made with when arguments had other names, and its config
#: of then.
STORED = {
    "rnnprop": {"layers": [3, 2], "alpha": 0.3},
    "adamlr": {"layers": [3], "alpha": 0.2},
    "rmsproplr": {"layers": [3], "alpha": 0.2},
    "rnnprop_extended": {"layers": [3]},
    "lstm": {"layers": [3]},
    "feature_mlp": {"layers": [3]},
    "less_choice": {"layers": [3]},
}


def stored(name):
    """A policy of today, and its serialization as it was before."""
    names = former.ARGUMENTS
    arguments = {names[key]: value for key, value in STORED[name].items()}
    policy = policies.get(name, **arguments, odd=False)
    config = policy.get_config()
    del config["odd"]
    for old, new in names.items():
        if old in STORED[name]:
            config[old] = config.pop(new)
    serialized = keras.saving.serialize_keras_object(policy)
    return policy, json.loads(json.dumps({**serialized, "config": config}))


@pytest.mark.parametrize("name", STORED)
def test_a_config_by_former_names_gives_the_same_policy(name):
    policy, config = stored(name)
    assert set(STORED[name]) <= set(config["config"])
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.get_config() == policy.get_config()
    assert set(STORED[name]).isdisjoint(twin.get_config())


@pytest.mark.parametrize("name", STORED)
def test_a_serialized_policy_goes_to_former_names_and_back(name):
    policy, config = stored(name)
    now = json.loads(json.dumps(keras.saving.serialize_keras_object(policy)))
    assert former.to_former(now) == config
    assert former.to_current(config) == now
    # once more changes nothing, as with what was stored by today's names
    assert former.to_current(now) == now


def test_a_pool_is_renamed_along():
    policy = policies.Choice([policies.RNNProp(units=(2,)), policies.SGD()])
    config = former.to_former([keras.saving.serialize_keras_object(policy)])
    assert "layers" in config[0]["config"]["pool"][0]["config"]
    (twin,) = former.to_current(config)
    assert "units" in twin["config"]["pool"][0]["config"]


def test_a_policy_of_ones_own_keeps_its_words():
    @keras.saving.register_keras_serializable(package="former")
    class Mine(policies.CoordinatewisePolicy):
        def __init__(self, alpha, **kwargs):
            super().__init__(**kwargs)
            self.alpha = alpha

        def get_config(self):
            return {**super().get_config(), "alpha": self.alpha}

    config = keras.saving.serialize_keras_object(Mine(0.5))
    assert keras.saving.deserialize_keras_object(config).alpha == 0.5
    assert former.to_current(config) == config


@pytest.mark.parametrize("name", STORED)
def test_an_odd_policy_stays_odd_in_what_is_stored(name):
    policy = policies.get(name)
    assert policy.odd
    config = keras.saving.serialize_keras_object(policy)
    for changed in (former.to_former(config), former.to_current(config)):
        assert changed["config"]["odd"] is True


def test_a_members_form_is_its_own():
    pool = [policies.RNNProp(units=(2,), odd=odd) for odd in (True, False)]
    config = keras.saving.serialize_keras_object(policies.Choice(pool))
    stored = former.to_former(config)
    kept = [member["config"].get("odd") for member in stored["config"]["pool"]]
    assert kept == [True, None]
    twin = keras.saving.deserialize_keras_object(stored)
    assert [twin.odd, *(member.odd for member in twin.pool)] == [
        True, True, False
    ]  # fmt: skip
