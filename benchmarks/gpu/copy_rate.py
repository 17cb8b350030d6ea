"""The rate at which a device copies its own memory, for floors."""

from benchmarks.gpu import clock
from benchmarks.gpu import device


class Copy:
    """One copy of an array, from the device to itself.

    Args:
        floats: Int, the length of the array.
    """

    def __init__(self, floats):
        if device.BACKEND == "jax":
            import jax

            array = jax.numpy.ones(floats, "float32")
            copy = jax.jit(jax.numpy.copy)
            self.run = lambda: setattr(self, "result", copy(array))
        else:
            import torch

            place = "cuda" if torch.cuda.is_available() else "cpu"
            array = torch.ones(floats, device=place)
            self.result = torch.empty_like(array)
            self.run = lambda: self.result.copy_(array)

    def wait(self):
        """Returns when the copy is made."""
        device.wait(self.result)


def copy_rate(floats=2**28, rounds=7):
    """Bytes that a copy reads and writes in a second.

    Args:
        floats: Int, the length of the array that is copied.
        rounds: Int, of which the median counts.
    """
    seconds = clock.alternate({"copy": Copy(floats)}, rounds)["copy"]
    return 8 * floats / seconds
