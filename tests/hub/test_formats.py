"""What was written once can be read for ever."""

import json
import pathlib

import jsonschema
import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o import policies
from keras_l2o.hub import formats
from tests.hub.forge import edit_config

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
STORED = sorted(
    path.parent.relative_to(FIXTURES).as_posix()
    for path in FIXTURES.glob("v*/*/config.json")
)


def check(config):
    schema = formats.schema(config["format_version"])
    jsonschema.Draft202012Validator(schema).validate(config)


@pytest.mark.backend
@pytest.mark.parametrize("name", STORED)
def test_a_folder_of_an_old_version_does_what_it_did(name):
    folder = FIXTURES / name
    expected = json.loads((folder.parent / "expected.json").read_text())
    optimizer = hub.load(folder)
    variable = keras.Variable([1.0, -2.0, 0.5])
    optimizer.build([variable])
    for _ in range(3):
        gradient = keras.ops.convert_to_tensor([0.3, -0.1, 2.0])
        optimizer.apply([gradient], [variable])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(variable),
        expected[folder.name],
        rtol=1e-5,
    )


def test_every_version_has_a_reader_a_schema_and_a_fixture():
    versions = set(range(1, formats.FORMAT_VERSION + 1))
    assert set(formats.READERS) == versions
    for version in versions:
        jsonschema.Draft202012Validator.check_schema(formats.schema(version))
        assert any(name.startswith(f"v{version}/") for name in STORED)


@pytest.mark.parametrize("name", STORED)
def test_stored_configs_follow_their_schema(name):
    check(json.loads((FIXTURES / name / "config.json").read_text()))


@pytest.mark.parametrize(
    "policy",
    [
        *(lambda name=name: policies.get(name) for name in policies.names()),
        lambda: policies.RNNProp(
            units=(4,),
            cell_options={"kernel_initializer": keras.initializers.Zeros()},
        ),
        lambda: policies.as_policy(
            keras.optimizers.SGD(
                keras.optimizers.schedules.CosineDecay(0.1, 10)
            )
        ),
    ],
)
def test_what_save_writes_follows_the_schema_and_loads(policy, tmp_path):
    optimizer = keras_l2o.LearnedOptimizer(policy())
    hub.save(optimizer, tmp_path / "saved")
    check(json.loads((tmp_path / "saved" / "config.json").read_text()))
    hub.load(tmp_path / "saved")


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.update(format_version=2),
        lambda config: config.pop("warmup_rate"),
        lambda config: config.update(more=1),
        lambda config: config.update(policy=[]),
        lambda config: config.update(warmup_steps=-1),
        lambda config: config.update(warmup_rate=-0.5),
        lambda config: config["policy"].update(registered_name="other>RNNProp"),
        lambda config: config["policy"].update(class_name="__lambda__"),
        lambda config: config["policy"]["config"].update(
            units={"class_name": "system", "module": "os", "config": {}}
        ),
    ],
)
def test_what_the_schema_refuses_is_not_loaded(edit, folder):
    edit_config(folder, edit)
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(formats.schema(1)).validate(config)
    with pytest.raises(hub.HubError):
        hub.load(folder)


def test_a_later_version_says_what_to_do(folder):
    edit_config(folder, lambda config: config.update(format_version=99))
    with pytest.raises(hub.FormatError, match=r"99.*reads 1.*Install"):
        hub.load(folder)
