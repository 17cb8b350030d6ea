import contextlib
import gc
import os
import shutil
import tempfile
from unittest import mock

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# A test runs what it compiles a few times: to compile costs more than to run.
# `JAX_DISABLE_MOST_OPTIMIZATIONS=0` tests the programs that users get.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Keras imports the Hub's client, which reads its environment then. Nothing of
# the user's is touched: neither cache nor token.
for name in [name for name in os.environ if name.startswith("HF_")]:
    del os.environ[name]
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="keras-l2o-hub-")
os.environ["HF_HUB_DISABLE_XET"] = "1"  # a storage service of its own
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

# Nor where commands keep what JAX has compiled.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="keras-l2o-cache-")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from tests import building  # noqa: E402
from tests import eager  # noqa: E402

COMPILED = tempfile.mkdtemp(prefix="keras-l2o-compiled-")

if keras.backend.backend() == "jax":
    import jax

    # Models of one shape give one program, which a process compiles once. No
    # two processes share the folder: JAX's files are not whole at all times.
    jax.config.update("jax_compilation_cache_dir", COMPILED)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_finish():
    # What is imported stays: to look through it again and again for garbage
    # takes long where graphs of thousands of operations are made.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_unconfigure():
    homes = os.environ["HF_HOME"], os.environ["XDG_CACHE_HOME"]
    for folder in (*homes, COMPILED):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)
    yield
    # Collecting garbage after each test would take half the time of most.
    keras.backend.clear_session(free_memory=False)


@pytest.fixture
def registries():
    """What a test registers is forgotten after it."""
    from keras_l2o import strategies
    from keras_l2o.perturbations import names
    from keras_l2o.policies import catalogue as rules
    from keras_l2o.problems import catalogue as problems
    from keras_l2o.training import estimators

    with contextlib.ExitStack() as stack:
        for registry in (
            keras.saving.get_custom_objects(),
            rules.CATALOGUE,
            names.NAMES,
            problems.CATALOGUE,
            strategies.STRATEGIES,
            estimators.ESTIMATORS,
        ):
            stack.enter_context(mock.patch.dict(registry))
        yield


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """Path of the package's wheel."""
    return building.wheel(tmp_path_factory)


@pytest.fixture(scope="session")
def sdist(tmp_path_factory):
    """Path of the package's source distribution."""
    return building.sdist(tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_data():
    """64 images of 6x6 with three classes that can be told apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64).astype("int32")
    images = rng.normal(size=(64, 6, 6, 1)).astype("float32") * 0.5
    images[np.arange(64), labels] += 1.0
    return images, labels


def tiny_model(dtype="float32"):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="tanh", dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3, dtype=dtype),
        ]
    )


def flat_model():
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3)]
    )


@pytest.fixture
def tiny_problem(tiny_data):
    import keras_l2o

    return keras_l2o.problems.Problem(flat_model, tiny_data, batch_size=16)


@contextlib.contextmanager
def without_compilation():
    """On TensorFlow, models train step by step.

    For runs of a few steps, which take a tenth of the time that it takes to
    compile them and the pipelines of data that they are validated on. How one
    is compiled is what `evaluation/test_evaluate.py` tests.
    """
    import keras_l2o

    if keras.backend.backend() != "tensorflow":
        yield
        return

    def at_once(model, x, y, batch_size, verbose, return_dict):
        model.reset_metrics()
        return model.test_on_batch(x, y, return_dict=return_dict)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "compile", eager.eager(keras.Model.compile))
        patch.setattr(keras.Model, "evaluate", at_once)
        patch.setattr(keras_l2o.backend, "compiled", lambda function: function)
        yield


@pytest.fixture
def few_outer_steps(monkeypatch):
    """On TensorFlow, meta-trainers train operation by operation.

    How an outer step is compiled is what `training` tests.
    """
    if keras.backend.backend() == "tensorflow":
        compiling = eager.eager(keras.Model.compile)
        monkeypatch.setattr(keras.Model, "compile", compiling)


@pytest.fixture
def few_steps():
    with without_compilation():
        yield
