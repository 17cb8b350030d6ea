"""Thousands of folders that somebody tampered with.

Each loads to an optimizer that works, or raises `HubError`: nothing else is
raised, nothing is written, and it does not take long. The examples are the
same in every run, a few hundred a test; `KERAS_L2O_FUZZ=3` makes three times
as many, thousands in all, and new ones.

TensorFlow takes a second to compile an optimizer's step, fifty loads' time:
those that load are tried step by step, and a few of them compiled.
"""

import contextlib
import copy
import hashlib
import io
import json
import os
import random
import struct
import sys
import time
import warnings

import h5py
import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st

import keras_l2o
from keras_l2o import hub
from keras_l2o import policies
from tests.conftest import without_compilation
from tests.hub.odd_weights import KINDS
from tests.hub.odd_weights import put

# A failing example is printed with the files of all optimizers.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

TIMES = int(os.environ.get("KERAS_L2O_FUZZ", "0"))
CONTENTS = ("config.json", "metadata.json", "policy.weights.h5")

#: What an example may take of the processor, where a load takes 0.02 s.
SECONDS = 10.0


def fuzz(examples):
    return hypothesis.settings(
        max_examples=examples * max(TIMES, 1),
        derandomize=not TIMES,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
    )


#: One drawn number makes a whole example, so that examples do not depend on
#: what was drawn before.
SEEDS = st.integers(0, 2**64 - 1)

BASES = {
    "rnnprop": lambda: policies.RNNProp(
        units=(2,),
        cell_options={"kernel_initializer": keras.initializers.Orthogonal(1)},
    ),
    "choice": lambda: policies.Choice(
        [
            policies.Adam(0.1),
            policies.Momentum(0.1),
            policies.as_policy(
                keras.optimizers.SGD(
                    keras.optimizers.schedules.CosineDecay(0.1, 10)
                )
            ),
        ],
        units=(2,),
    ),
    "scale": lambda: policies.Scale(units=(2, 2, 2), timescales=2),
    "mlp": lambda: policies.FeatureMLP(),
    "adam": lambda: policies.RectifiedAdam(0.1),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The files of a few small optimizers: bytes by name."""
    found = []
    for name, policy in BASES.items():
        folder = tmp_path_factory.mktemp("originals") / name
        keras_l2o.save(
            keras_l2o.LearnedOptimizer(policy(), warmup_steps=1),
            folder,
            metadata={"seed": 1, "figures": {"loss": 0.1}},
        )
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        found.append(files)
        keras_l2o.load(folder)  # imports what it needs
    return found


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "folder"


_WATCHES = []


def _hook(event, arguments):
    if not _WATCHES:
        return
    if event == "open":
        _, mode, flags = arguments
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (
            isinstance(flags, int) and flags & writes
        ):
            _WATCHES[-1].append((event, arguments))
    elif event.startswith(
        ("os.", "shutil.", "subprocess.", "socket.", "ctypes.dlopen")
    ) and event not in ("os.listdir", "os.scandir", "os.putenv"):
        _WATCHES[-1].append((event, arguments))


sys.addaudithook(_hook)


@contextlib.contextmanager
def nothing_done():
    """Fails if anything is written, started, removed or connected to."""
    _WATCHES.append([])
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        done = _WATCHES.pop()
    assert not done


def sign(files):
    lines = [
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n"
        for name in CONTENTS
    ]
    return {**files, "SHA256SUMS": "".join(lines).encode()}


def write(folder, files):
    """Writes the files that differ from what the folder has."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def load_or_refuse(folder, files, compiled=False):
    """Whether the folder loads; if it does, its optimizer works."""
    write(folder, files)
    start = time.process_time()
    try:
        with nothing_done():
            optimizer = keras_l2o.load(folder)
    except hub.HubError:
        optimizer = None
    else:
        with contextlib.nullcontext() if compiled else without_compilation():
            check_works(optimizer)
    assert time.process_time() - start < SECONDS
    assert {path.name for path in folder.iterdir()} == set(files)
    return optimizer is not None


def check_works(optimizer):
    assert type(optimizer) is keras_l2o.LearnedOptimizer
    for value in optimizer.policy.get_weights():
        assert np.all(np.isfinite(value))
    json.dumps(optimizer.get_config())
    variable = keras.Variable([[1.0, -2.0]])
    optimizer.build([variable])
    gradient = keras.ops.convert_to_tensor([[0.5, 0.25]])
    with warnings.catch_warnings():
        # A number that float32 does not hold is infinite, as in any graph.
        warnings.filterwarnings("ignore", "overflow encountered in cast")
        optimizer.apply([gradient], [variable])
    assert variable.shape == (1, 2)


SPECIAL_NUMBERS = [
    10**9, -(10**9), 2**31, 2**63, 10**400, 1448, 0, float("nan"),
    float("inf"), -float("inf"), 1e-320, 1e38, 1e308, -0.0, 0.5, 1.0, 2.0,
]  # fmt: skip
TEXTS = [
    "", "adam", "tanh", "relu", "float16", "bfloat16", "float64", "int32",
    "complex64", "mixed_float16", "paper", "constant", "Adam", "RNNProp",
    "keras_l2o>Adam", "keras_l2o>RNNProp", "keras_l2o>LearnedOptimizer",
    "keras_l2o>Missing", "__lambda__", "function", "builtins", "os",
    "keras.layers", "keras.optimizers", "keras.initializers", "Lambda",
    "system", "../../x", "/tmp/x", "a/b", "\0", "\ud800", "x" * 999,
    "1e9", "NaN", "none", "learning_rate", "class_name",
]  # fmt: skip
KEYS = [
    "class_name", "registered_name", "module", "config", "build_config",
    "compile_config", "shared_object_id", "name", "dtype", "trainable",
    "layers", "units", "pool", "optimizer", "seed", "learning_rate",
    "cell_options", "activation", "kernel_initializer", "epsilon", "beta_1",
    "timescales", "hardness", "time_scale", "input_shape", "policy",
    "format_version", "warmup_steps", "warmup_rate", "source", "figures",
]  # fmt: skip


def number(rng):
    kind = rng.randrange(3)
    if kind == 0:
        return rng.randint(-3, 70)
    if kind == 1:
        return rng.choice(SPECIAL_NUMBERS)
    return struct.unpack("d", rng.randbytes(8))[0]


def value(rng, depth=0):
    """A number, a text, or a nest of them."""
    kind = rng.randrange(4 if depth > 2 else 6)
    if kind < 2:
        return number(rng)
    if kind == 2:
        return rng.choice(TEXTS)
    if kind == 3:
        return rng.choice([True, False, None])
    values = [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == 4:
        return values
    return {rng.choice(KEYS): inner for inner in values}


def places(nest):
    """All values in a nest, as pairs of a container and a key."""
    found = [(None, None)]
    waiting = [nest]
    for node in waiting:  # and those that are added meanwhile
        if isinstance(node, dict):
            keys = list(node)
        elif isinstance(node, list):
            keys = range(len(node))
        else:
            continue
        found.extend((node, key) for key in keys)
        waiting.extend(node[key] for key in keys)
    return found


def change(rng, nest):
    """Changes one value somewhere in a nest, or a key, or takes it away."""
    every = places(nest)
    parent, key = rng.choice(every)
    kind = rng.choice("replace replace number graft drop key long".split())
    if parent is None:
        return value(rng) if rng.randrange(10) == 0 else nest
    if kind == "replace":
        parent[key] = value(rng)
    elif kind == "number":
        parent[key] = number(rng)
    elif kind == "graft":
        source, name = rng.choice(every)
        graft = nest if source is None else source[name]
        parent[key] = copy.deepcopy(graft)
    elif kind == "drop":
        del parent[key]
    elif kind == "key" and isinstance(parent, dict):
        parent[rng.choice(KEYS)] = parent.pop(key)
    elif kind == "long":
        times = rng.choice([2, 50, 1000, 50_000])
        node = parent[key]
        text = json.dumps(node)
        small = len(text) * times < 2**19
        # Each a value of its own: a later change is to one of them.
        texts = ",".join([text] * times) if small else ""
        parent[key] = json.loads(f"[{texts}]")
    return nest


def damage(rng, raw):
    """Changes a few bytes."""
    raw = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, max(len(raw) - 1, 0))
        kind = rng.choice("set set flip cut insert copy".split())
        if kind == "set":
            raw[place : place + 1] = rng.randbytes(1)
        elif kind == "flip" and raw:
            raw[place] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            end = place + rng.choice([1, 2, 8, 100, 10**6])
            del raw[place:end]
        elif kind == "insert":
            raw[place:place] = rng.randbytes(rng.randint(1, 9))
        else:
            other = rng.randint(0, max(len(raw) - 1, 0))
            raw[place : place + 8] = raw[other : other + 8]
    return bytes(raw)


def dump(nest):
    return json.dumps(nest).encode("utf-8", "surrogatepass")


@fuzz(150)
@hypothesis.given(SEEDS)
def test_configs_with_other_values(originals, scratch, seed):
    rng = random.Random(seed)
    files = rng.choice(originals)
    config = json.loads(files["config.json"])
    for _ in range(rng.randint(1, 3)):
        if isinstance(config, dict):
            config = change(rng, config)
    files = sign({**files, "config.json": dump(config)})
    load_or_refuse(scratch, files, compiled=seed % 20 == 19)


@fuzz(200)
@hypothesis.given(SEEDS)
def test_metadata_with_other_values(originals, scratch, seed):
    rng = random.Random(seed)
    files = originals[-1]
    metadata = value(rng)
    files = sign({**files, "metadata.json": dump(metadata)})
    loaded = load_or_refuse(scratch, files)
    assert loaded == isinstance(metadata, dict)


@fuzz(300)
@hypothesis.given(SEEDS)
def test_signed_files_with_other_bytes(originals, scratch, seed):
    rng = random.Random(seed)
    files = rng.choice(originals)
    name = rng.choice(CONTENTS)
    load_or_refuse(scratch, sign({**files, name: damage(rng, files[name])}))


@fuzz(200)
@hypothesis.given(SEEDS)
def test_unsigned_files_with_other_bytes_never_load(originals, scratch, seed):
    rng = random.Random(seed)
    files = rng.choice(originals)
    name = rng.choice(sorted(files))
    damaged = damage(rng, files[name])
    loaded = load_or_refuse(scratch, {**files, name: damaged})
    # A digest file may end in another line break.
    same = files[name].splitlines() == damaged.splitlines()
    assert loaded == (damaged == files[name] or (name == "SHA256SUMS" and same))


@fuzz(150)
@hypothesis.given(SEEDS)
def test_weights_of_another_kind(originals, scratch, seed):
    rng = random.Random(seed)
    files = rng.choice([f for f in originals if has_weights(f)])
    buffer = io.BytesIO(files["policy.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        name = rng.choice(list(file))
        weight = file[name][()]
        kind = rng.choice(KINDS)
        if kind != "more":
            del file[name]
        put(file, name, weight, kind)
    files = {**files, "policy.weights.h5": buffer.getvalue()}
    assert load_or_refuse(scratch, sign(files)) == (kind == "same")


def has_weights(files):
    with h5py.File(io.BytesIO(files["policy.weights.h5"]), "r") as file:
        return len(file) > 0


def test_the_originals_load(originals, scratch):
    for files in originals:
        assert load_or_refuse(scratch, files, compiled=True)


@pytest.mark.parametrize("length", [1000, 100_000])
def test_a_config_of_very_many_layers_takes_no_time(length, originals, scratch):
    files = originals[0]
    config = json.loads(files["config.json"])
    config["policy"]["config"]["units"] = [1] * length
    files = sign({**files, "config.json": dump(config)})
    start = time.process_time()
    assert not load_or_refuse(scratch, files)
    assert time.process_time() - start < 2.0
