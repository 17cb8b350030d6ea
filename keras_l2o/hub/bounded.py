"""Requests to a hub in a bounded time, with answers of a bounded size.

The Hub's client may wait for ever: for a server that stops answering, for one
that sends a byte a second, or for as long as a header `Retry-After` says. So
its work is done in a thread, for which the caller waits no longer than until a
deadline. Hooks in the client's HTTP client watch the requests of that thread;
they do nothing to requests of others who use the same client.
"""

import contextvars
import threading
import time
from typing import NamedTuple

from keras_l2o.hub.errors import RemoteError
from keras_l2o.hub.errors import TooLarge
from keras_l2o.hub.errors import Unreachable

#: The `Bound` of the work that is done here, or `None`.
_BOUND = contextvars.ContextVar("keras_l2o_bound", default=None)

#: Headers that are ignored. They would make the client wait, or use another
#: kind of transfer, which the hooks do not see; ours are small enough for the
#: usual kind.
_IGNORED = ("retry-after", "ratelimit", "x-xet-hash")


class Bound(NamedTuple):
    """How long a piece of work may take, and how large answers may be.

    Attributes:
        seconds: Float, the time for all its requests together.
        size: Int. Most bytes of one answer.
        deadline: Float, as `time.monotonic` counts.
        ended: `threading.Event`, set when nobody waits for it any longer.
    """

    seconds: float
    size: int
    deadline: float
    ended: threading.Event

    def left(self):
        """Seconds that are left; raises `Unreachable` if there are none."""
        left = self.deadline - time.monotonic()
        if left <= 0 or self.ended.is_set():
            raise self.late()
        return left

    def late(self):
        return Unreachable(f"It timed out after {self.seconds:g} seconds.")


def run(work, seconds, size):
    """Does work with the Hub's client, within a time and a size.

    Args:
        work: Function without arguments.
        seconds: Float. How long it may take.
        size: Int. Most bytes of the answer to one of its requests.

    Returns:
        What `work` returns.

    Raises:
        Unreachable: It took longer. Its thread ends at its next request, or
            with the next piece of an answer.
        TooLarge: An answer was larger. No more than `size` was read.
    """
    bound = Bound(seconds, size, time.monotonic() + seconds, threading.Event())
    outcome = []

    def target():
        _BOUND.set(bound)
        try:
            _watch()
            outcome[:] = work(), None
        except BaseException as error:
            outcome[:] = None, error

    # A context of its own, so that `_BOUND` is set in this thread alone.
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    finally:
        bound.ended.set()
    if not outcome:
        raise bound.late()
    value, error = outcome
    if error is not None:
        raise error
    return value


def _watch():
    """Puts the hooks into the client that the Hub's client uses, once."""
    import huggingface_hub

    client = huggingface_hub.get_session()
    hooks = client.event_hooks
    if _before not in hooks["request"]:
        client.event_hooks = {
            "request": [*hooks["request"], _before],
            "response": [_after, *hooks["response"]],
        }


def _before(request):
    bound = _BOUND.get()
    if bound is None:
        return
    left = bound.left()
    request.headers["Accept-Encoding"] = "identity"
    request.extensions = {
        **request.extensions,
        "timeout": dict.fromkeys(("connect", "read", "write", "pool"), left),
        "trace": _trace,
    }


def _trace(event, information):
    # After a connection that failed, the Hub's client would make itself an
    # HTTP client anew, without these hooks.
    if event.startswith("connection.") and event.endswith(".failed"):
        error = information["exception"]
        raise Unreachable(str(error) or type(error).__name__) from error


def _after(response):
    bound = _BOUND.get()
    if bound is None:
        return
    for name in _IGNORED:
        response.headers.pop(name, None)
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise RemoteError(
            f"It sent what is compressed by {encoding!r:.20}, to any size, "
            "though that was not asked for."
        )
    response.stream = _limited(response.stream, bound)


def _limited(stream, bound):
    import httpx2

    class Limited(httpx2.SyncByteStream):
        def __iter__(self):
            size = 0
            for piece in stream:
                bound.left()
                size += len(piece)
                if size > bound.size:
                    raise TooLarge(
                        f"It sent more than the {bound.size} bytes that were "
                        "expected, so the rest was not read."
                    )
                yield piece

        def close(self):
            stream.close()

    return Limited()
