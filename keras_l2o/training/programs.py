from collections.abc import Callable
from collections.abc import Hashable
from typing import Any

from keras_l2o import backend
from keras_l2o.typing import Nest


class Programs:
    """Compiled functions by name, one program for each.

    One program for everything that an outer step does takes long to compile,
    and much memory, if there are many problems. Here each problem has its own.

    Args:
        apart: Bool. Whether functions are compiled here. If not, they are just
            called, and the caller compiles all of them together.
    """

    def __init__(self, apart: bool) -> None:
        self.apart = apart
        self._compiled: dict[Hashable, Callable[..., Nest]] = {}

    def run(
        self, name: Hashable, function: Callable[..., Nest], *arguments: Any
    ) -> Nest:
        """Calls a function of tensors.

        Args:
            name: What tells it from others. A name stands for one function
                until `clear` is called.
            function: Maps nests of tensors to a nest of tensors.
            *arguments: Nests of tensors.

        Returns:
            What the function returns.
        """
        if not self.apart:
            return function(*arguments)
        if name not in self._compiled:
            self._compiled[name] = backend.compiled(function)
        return self._compiled[name](*arguments)

    def clear(self) -> None:
        """Forgets all functions: what they depend on has changed."""
        self._compiled.clear()
