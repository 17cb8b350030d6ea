"""The device of the present backend, JAX or torch."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

BACKEND = keras.backend.backend()

if BACKEND == "jax":
    import jax

    def name():
        """The device's kind."""
        return jax.devices()[0].device_kind

    def wait(tensors):
        """Returns when all that was asked for is computed."""
        jax.block_until_ready(tensors)

    def peak_bytes():
        """Most memory that this process has had; `None` on a processor."""
        statistics = jax.devices()[0].memory_stats() or {}
        return statistics.get("peak_bytes_in_use")

    def forget_peak():
        """Nothing: JAX never forgets it."""

else:
    import torch

    def name():
        """The device's kind."""
        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
        return "cpu"

    def wait(tensors):
        """Returns when all that was asked for is computed."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def peak_bytes():
        """Most memory since `forget_peak`; `None` on a processor."""
        if torch.cuda.is_available():
            return torch.cuda.max_memory_allocated()
        return None

    def forget_peak():
        """From now on, `peak_bytes` counts anew."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def facts():
    """What a report says of the device, as a dict."""
    return {"backend": BACKEND, "device": name()}
