"""Memory of an outer step on JAX by unroll, and what rematerialization saves.

    python benchmarks/outer_memory.py [--unrolls 25 50 100 200]

The problem is an MLP on digits, batch 64, one task; Adam and RMSprop teach
RNNProp (20, 20). Figures are the megabytes of temporaries that the compiler
plans for. `growth` is the memory at the longest unroll over that at the
shortest, over what would be linear.

Last printout, JAX 0.10 for a processor:

    kept_megabytes_25 = 84.3
    kept_megabytes_50 = 167.0
    kept_megabytes_100 = 332.6
    kept_megabytes_200 = 663.7
    kept_growth = 0.984
    rematerialized_megabytes_25 = 17.0
    rematerialized_megabytes_50 = 31.1
    rematerialized_megabytes_100 = 59.3
    rematerialized_megabytes_200 = 115.8
    rematerialized_growth = 0.851
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "jax"

import jax

import keras_l2o
from keras_l2o import keras_internals


def megabytes(unroll, rematerialize):
    """Temporaries of the compiled outer step."""
    trainer = keras_l2o.MetaTrainer(
        problems="digits_mlp", tasks=1, unroll=unroll
    )
    trainer.compile(rematerialize=rematerialize)
    state = keras_internals.jax_state(trainer)
    compiled = (
        jax.jit(trainer.train_step)
        .lower(state, (trainer.episodes.at(0),))
        .compile()
    )
    return compiled.memory_analysis().temp_size_in_bytes / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--unrolls", type=int, nargs="*", default=[25, 50, 100, 200]
    )
    unrolls = parser.parse_args().unrolls
    for rematerialize in (False, True):
        name = "rematerialized" if rematerialize else "kept"
        row = [megabytes(unroll, rematerialize) for unroll in unrolls]
        for unroll, size in zip(unrolls, row):
            print(f"{name}_megabytes_{unroll} = {size:.1f}", flush=True)
        growth = row[-1] / row[0] / (unrolls[-1] / unrolls[0])
        print(f"{name}_growth = {growth:.3f}")


if __name__ == "__main__":
    main()
