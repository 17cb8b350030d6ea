"""Memory of a compiled outer step on JAX, by unroll, with and without
rematerialization.

    python benchmarks/outer_memory.py [--unrolls 25 50 100 200]

The problem is an MLP on digits, batch 64, one task; Adam and RMSprop teach
RNNProp (20, 20). Figures are the megabytes of temporaries that the compiler
plans for. `growth` is the memory at the longest unroll over that at the
shortest, over what would be linear.

Last printout: PENDING
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "jax"

import jax

import keras_l2o


def megabytes(unroll, rematerialize):
    """Temporaries of the compiled outer step."""
    trainer = keras_l2o.MetaTrainer(
        problems="digits_mlp", tasks=1, unroll=unroll
    )
    trainer.compile(rematerialize=rematerialize)
    state = trainer._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
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
