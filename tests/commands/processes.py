"""The command line in processes of its own, all of which one has imported.

To import Keras and TensorFlow takes longer than what the commands do in a
test. Run as a program, it forks a process for each command, on TensorFlow.
It reads and answers lines of JSON: `start` gives the process's id, `poll` its
exit code, or null as long as it runs.
"""

import contextlib
import faulthandler
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]


class Imported:
    """A process that has imported the commands, and waits for them.

    Args:
        folder: Path of the folder for what the commands print.
    """

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "KERAS_BACKEND": "tensorflow",
                "PYTHONPATH": str(ROOT),
            },
        )

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *arguments, eager=False):
        """Starts `keras-l2o` with these arguments: a `Command`.

        If `eager`, meta-trainers make their steps operation by operation.
        """
        path = self.folder / f"{len(list(self.folder.iterdir()))}.out"
        pid = self.ask(
            {"start": list(arguments), "path": str(path), "eager": eager}
        )
        return Command(self, pid, path)

    def close(self):
        self.process.communicate(timeout=60)


class Command:
    """A process as `subprocess.Popen` has it, as far as the tests go."""

    def __init__(self, server, pid, path):
        self.server, self.pid, self.path = server, pid, path
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            self.returncode = self.server.ask({"poll": self.pid})
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout=250):
        """Waits for the end; what was printed, and what of errors."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline, self.path.read_text()
            time.sleep(0.02)
        errors = self.path.with_suffix(".err").read_text()
        return self.path.read_text(), errors


def serve():
    import_all()
    children = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            sys.stdout.flush()
            child = os.fork()
            if not child:
                run(question["start"], question["path"], question["eager"])
            answer, children[child] = child, None
        else:
            child = question["poll"]
            if children[child] is None:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    children[child] = os.waitstatus_to_exitcode(status)
            answer = children[child]
        print(json.dumps(answer), flush=True)
    for child, code in children.items():
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def import_all():
    """What the commands import one by one, as they need it."""
    import pandas  # noqa: F401
    import sklearn.datasets  # noqa: F401

    from keras_l2o import config  # noqa: F401
    from keras_l2o import evaluation  # noqa: F401
    from keras_l2o import strategies  # noqa: F401
    from keras_l2o_commands import application  # noqa: F401


def run(arguments, path, eager):
    """Is the command, from here on."""
    import keras

    from keras_l2o_commands.application import main
    from tests import eager as eagerly

    if eager:
        keras.Model.compile = eagerly.eager(keras.Model.compile)
    # Of a suite that was started in the background, SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    errors = pathlib.Path(path).with_suffix(".err")
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, path, os.O_WRONLY | os.O_CREAT),
        (2, errors, os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    faulthandler.enable()
    sys.argv = ["keras-l2o", *arguments]
    main()
    sys.exit()


if __name__ == "__main__":
    serve()
