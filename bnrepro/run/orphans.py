"""A worker ends with the process that started it: torchrun's agent, or joblib's main process.

Killed by SIGKILL, that one cannot end its workers. They would train on, and hold their runs' locks.
"""

import functools
import multiprocessing
import os
import signal
import threading
import time

LOOK, GRACE = 1.0, 5.0  # seconds between looks, and for an orphan to leave a summary
_parent = os.getppid()  # as early as can be


@functools.cache
def end_with_parent() -> None:
    """Let a worker end as interrupted once its parent is dead; another process may outlive it.

    SIGTERM interrupts a worker from here on: torchrun ends the others of a lost process so.
    """
    is_worker = multiprocessing.parent_process() is not None or "TORCHELASTIC_RUN_ID" in os.environ
    if is_worker and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        threading.Thread(target=_watch, daemon=True).start()


def _remember_parent() -> None:
    global _parent
    _parent = os.getppid()
    end_with_parent.cache_clear()


os.register_at_fork(after_in_child=_remember_parent)


def _watch() -> None:
    while os.getppid() == _parent:
        time.sleep(LOOK)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(130)  # deep in a library, or with the next job that its dead parent had queued
