"""What there is with Keras and a backend alone."""

import os
import pathlib
import re
import subprocess
import sys
from importlib import metadata

import keras
import pytest
from packaging.requirements import Requirement

from keras_l2o import extras
from tools.release_check import first_example
from tools.release_check import install
from tools.release_check import pip
from tools.release_check import run

ROOT = pathlib.Path(__file__).parent.parent
#: What the core and JAX must not bring.
OTHERS = {
    "huggingface-hub", "matplotlib", "pandas", "pydantic", "scikit-learn",
    "statsmodels", "tensorflow", "tensorflow-datasets", "torch", "typer",
}  # fmt: skip
#: How pip says that it has found no index at all.
UNREACHABLE = re.compile(
    r"NewConnectionError|Name or service not known|Temporary failure in name|"
    r"ProxyError|ConnectTimeoutError|Network is unreachable"
)


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and its extra `jax`."""
    folder = tmp_path_factory.mktemp("bare")
    python, result = install(folder, wheel)
    if found := UNREACHABLE.search(result.stderr):
        pytest.skip(f"The package index cannot be reached: {found[0]}")
    assert result.returncode == 0, result.stderr
    return python


@pytest.mark.timeout(900)
def test_the_readmes_first_example_runs_with_the_core_and_jax(bare, tmp_path):
    listed = pip(bare, "list", "--format=freeze").stdout.lower()
    names = {line.partition("==")[0] for line in listed.split()}
    names = {name.replace("_", "-") for name in names}
    assert {"keras-l2o", "keras", "jax"} <= names
    assert not names & OTHERS
    result = run(bare, "-c", first_example(), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "digits.keras").is_file()
    accuracies = re.findall(r"val_accuracy: ([\d.]+)", result.stdout)
    assert float(accuracies[-1]) > 0.9
    # What is missing is a line: of the command, of Python, of Keras.
    result = run(bare.with_name("keras-l2o"), "list", folder=tmp_path)
    assert result.returncode == 1
    line = extras.line("cli", "keras-l2o's command line")
    assert result.stderr == f"error: {line}\n"
    code = "import keras_l2o; keras_l2o.available()"
    result = run(bare, "-c", code, folder=tmp_path)
    assert result.stderr.strip().endswith(
        extras.line("evaluation", "keras_l2o.available()")
    )
    result = run(bare, "-c", code, folder=tmp_path, backend="tensorflow")
    assert result.stderr.strip().endswith(
        "'keras-l2o[tensorflow]', or set KERAS_BACKEND=jax before"
    )


#: Takes from Python all that is installed but the packages named.
ALONE = """
import sys
from importlib import machinery

packages = set(sys.argv[1].split(","))

class Named(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        spec = super().find_spec(name, path, target)
        if spec is None or name.partition(".")[0] in packages:
            return spec
        places = spec.submodule_search_locations or [str(spec.origin)]
        installed = any("site-packages" in place for place in places)
        return None if installed else spec

finders = sys.meta_path
finders[finders.index(machinery.PathFinder)] = Named
"""

JOURNEY = """
import keras
import numpy as np
import keras_l2o

x, y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
model.compile(keras_l2o.from_hub("min-max-compact/3"), "mse")
model.fit(x, y, verbose=0)
model.save("model.keras")
loaded = keras.models.load_model("model.keras")
loaded.fit(x, y, verbose=0)

trainer = keras_l2o.MetaTrainer(unroll=2, depth=1, tasks=1)
trainer.fit(
    epochs=1, steps_per_epoch=1, verbose=0,
    callbacks=[keras_l2o.perturbations.Gaussian(1e-3)],
)
keras_l2o.save(trainer.to_optimizer(), "mine")
keras_l2o.load("mine")
keras_l2o.from_hub("./mine")
plan = keras_l2o.strategies.Simple("run", num_periods=1, episodes=1)
assert len(keras_l2o.hub.listing.choices()) > 60

uses = {
    "cli": lambda: __import__("keras_l2o.config"),
    "datasets": lambda: keras_l2o.problems.load_dataset("mnist"),
    "evaluation": lambda: keras_l2o.evaluate,
    "hub": lambda: keras_l2o.publish("mine", "hf://me/mine"),
    "tuner": lambda: keras_l2o.PerturbationHyperModel,
}
for extra, use in uses.items():
    try:
        use()
    except keras_l2o.extras.MissingExtra as error:
        assert str(error).endswith(f"pip install 'keras-l2o[{extra}]'"), error
    else:
        raise AssertionError(f"It went without {extra}.")
print("arrived")
"""


def modules_of_the_core():
    """What the core and this backend import, with all that they require."""
    backend = keras.backend.backend()
    waiting = ["keras", "numpy", "h5py", "filelock", "ml_dtypes", backend]
    seen = set()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if seen & {owner.lower().replace("_", "-") for owner in owners}
    }


@pytest.mark.backend
def test_use_and_distillation_import_nothing_beyond_the_core(tmp_path):
    packages = {"keras_l2o", "keras_l2o_commands", *modules_of_the_core()}
    assert not packages & {"pandas", "sklearn", "typer", "huggingface_hub"}
    result = subprocess.run(
        [sys.executable, "-c", ALONE + JOURNEY, ",".join(sorted(packages))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.endswith("arrived\n")
