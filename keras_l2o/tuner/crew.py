"""A chief and its workers on one machine, as processes of their own."""

import os
import pathlib
import signal
import socket
import subprocess
import time

from keras_l2o.tuner.errors import SearchError

#: How often a worker may die before the search is given up.
DEATHS = 3


def run(command, workers, logs, on_poll=None, seconds=0.2):
    """Runs a command as the chief and as each worker, until all is done.

    A worker that dies is started again under its name: the chief then gives
    it the trial it had.

    Args:
        command: List of strings. What to run.
        workers: Int. Number of workers.
        logs: Path of the folder for what the processes print.
        on_poll: Function that is called now and then with a dict from names
            to process ids.
        seconds: Float. Time between two looks at the processes.

    Raises:
        SearchError: The chief has died, or a worker too often.
    """
    logs = pathlib.Path(logs)
    logs.mkdir(parents=True, exist_ok=True)
    port = free_port()
    names = [f"worker{index}" for index in range(workers)]
    processes, deaths, working = {}, dict.fromkeys(names, 0), set(names)
    before = _exit_on_terminate()
    try:
        for name in ("chief", *names):
            processes[name] = _start(command, name, port, logs)
        while working:
            if on_poll is not None:
                on_poll({name: p.pid for name, p in processes.items()})
            time.sleep(seconds)
            for name in sorted(working):
                code = processes[name].poll()
                if code == 0:
                    working.remove(name)
                elif code is not None:
                    deaths[name] += 1
                    if deaths[name] > DEATHS:
                        raise SearchError(_obituary(name, code, logs))
                    processes[name] = _start(command, name, port, logs)
            code = processes["chief"].poll()
            if working and code is not None:
                if code == 0:  # all trials are done
                    break
                raise SearchError(_obituary("chief", code, logs))
    finally:
        _end(processes.values())
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def free_port():
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(command, name, port, logs):
    with open(logs / f"{name}.log", "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "KERASTUNER_ORACLE_IP": "127.0.0.1",
                "KERASTUNER_ORACLE_PORT": str(port),
                "KERASTUNER_TUNER_ID": name,
                "no_grpc_proxy": "127.0.0.1",
            },
        )


def _obituary(name, code, logs):
    log = logs / f"{name}.log"
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
    return (
        f"The search's {name} {how}; {log} ends with: "
        f"{lines[-1] if lines else 'nothing'!s:.300}. The same command goes "
        "on with the search."
    )


def _end(processes):
    """Ends all: a chief whose workers are gone only waits for more."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _exit_on_terminate():
    """Lets a launcher that is terminated end its processes, too.

    One that has a handler of its own raises something, as commands do.
    """
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None

    def leave(*_):
        raise SystemExit(128 + signal.SIGTERM)

    try:
        return signal.signal(signal.SIGTERM, leave)
    except ValueError:  # signals are the main thread's
        return None
