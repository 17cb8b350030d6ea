"""What `MetaTrainer().fit()` takes with all defaults, beside its plain form.

    KERAS_BACKEND=tensorflow python benchmarks/distil.py

Each form is fitted in a process of its own, one after the other: as it is, and
with `compile(rematerialize=False)`. `ready` is from the start of the process to
the end of the first outer step, tracing and compiling included; `fit` from
there on for the other 39 and the validations; `peak` is the most memory that
the process had, of which `import` is there before the trainer is made; `faults`
are pages that the kernel had to provide, in thousands.

Last printout, two cores with nothing else on them, TensorFlow 2.21, Keras
3.15.1, in an environment of `keras-l2o[tensorflow]` alone, of the form as it
is:

    default_ready_seconds = 13.1
    default_fit_seconds = 151.7
    default_user_seconds = 220.4
    default_system_seconds = 24.57
    default_thousand_faults = 299
    default_import_megabytes = 543.2
    default_peak_megabytes = 1304
    default_last_loss = -4.057

Just before it, in 14.6 and 196.5 seconds, ran the form that validates teachers
anew each time, which took 9.9 and 153.6 on a day when the machine was faster.
Before XLA compiled the student's steps, the fit took 241 seconds there, and
before values were made again, tasks ran in turn and freed memory stayed, 349 in
all, 196 of the system's, 40,165 thousand faults and 3,177 megabytes. Hoped for
were 100 seconds, 1,000 megabytes and 10 seconds to the first step. An outer
step takes 2.4 seconds on the faster day (3.6 before): half of them are the
convolutions of the optimizee in TensorFlow's kernels, which XLA is slow at when
they are differentiated twice. On JAX the fit took 19 and 83 seconds before
teachers were validated once.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

START = time.perf_counter()
FORMS = ("default", "plain")


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(form):
    """Prints the figures of a fit in this process."""
    import keras

    import keras_l2o

    imported = megabytes()
    first = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            first.append(time.perf_counter())

    keras.utils.set_random_seed(0)
    trainer = keras_l2o.MetaTrainer()
    trainer.compile(rematerialize="auto" if form == "default" else False)
    history = trainer.fit(callbacks=[Watch()], verbose=0).history
    usage = resource.getrusage(resource.RUSAGE_SELF)
    for name, value in {
        "ready_seconds": first[0] - START,
        "fit_seconds": time.perf_counter() - first[0],
        "user_seconds": usage.ru_utime,
        "system_seconds": usage.ru_stime,
        "thousand_faults": usage.ru_minflt / 1000,
        "import_megabytes": imported,
        "peak_megabytes": megabytes(),
        "last_loss": history["loss"][-1],
    }.items():
        print(f"{form}_{name} = {value:.4g}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--form", choices=FORMS)
    form = parser.parse_args().form
    if form is not None:
        fit(form)
        return
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    for form in FORMS:
        subprocess.run(
            [sys.executable, __file__, f"--form={form}"],
            env=environment,
            check=True,
        )


if __name__ == "__main__":
    main()
