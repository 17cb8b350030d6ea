import difflib
from typing import Any


class Registry(dict[str, Any]):
    """Things by their names, to which a user may add their own.

    Args:
        kind: String, what the things are, for errors: `"policy"`.
        things: Dict from names to things.

    Example:

    >>> from keras_l2o.registry import Registry
    >>> registry = Registry("colour", {"red": 1})
    >>> registry.register("green", 2)
    >>> registry.find("green")
    2
    """

    def __init__(self, kind: str, things: dict[str, Any]):
        super().__init__(things)
        self.kind = kind

    def register(self, name: str, thing: Any) -> None:
        """Adds a thing under a name.

        Args:
            name: String.
            thing: The thing.

        Raises:
            ValueError: There is another thing of this name.
        """
        if self.get(name, thing) is not thing:
            raise ValueError(
                f"There is a {self.kind} named {name!r} already: "
                f"{self[name]!r}. Take another name for {thing!r}."
            )
        self[name] = thing

    def find(self, name: str) -> Any:
        """The thing of a name.

        Args:
            name: String.

        Returns:
            The thing.

        Raises:
            ValueError: There is nothing of this name. The message names the
                nearest ones, and all.
        """
        if name not in self:
            near = difflib.get_close_matches(str(name), self, 3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(map(repr, near))}? "
            raise ValueError(
                f"Unknown {self.kind} {name!r}. {hint if near else ''}"
                f"Known: {', '.join(self)}"
            )
        return self[name]
