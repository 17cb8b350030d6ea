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
        self._compiled: dict[tuple[Hashable, ...], Callable[..., Nest]] = {}

    def run(
        self,
        name: tuple[Hashable, ...],
        function: Callable[..., Nest],
        *arguments: Any,
    ) -> Nest:
        """Calls a function of tensors.

        Args:
            name: Tuple of the kind of function, a string, and of what tells
                it from others. A name stands for one function until `clear` is
                called with its kind.
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

    def clear(self, kind: str) -> None:
        """Forgets functions: what they depend on has changed.

        Args:
            kind: String. Those whose name is a tuple that starts with it.
        """
        for name in [name for name in self._compiled if name[0] == kind]:
            del self._compiled[name]
