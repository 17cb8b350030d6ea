"""The page's server, in a thread of the tests."""

import contextlib
import threading

from keras_l2o import dashboard


@contextlib.contextmanager
def served(gatherer):
    """Yields a `Server` that serves until the context is left."""
    with dashboard.Server(gatherer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
