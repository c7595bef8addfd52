"""A time limit for code that may loop for ever, in any thread and on any platform.

In the main thread of Linux and macOS an alarm signal stops the code, even while it sleeps.
Elsewhere a second thread stops it; a sleep, or one long call into C, then ends first.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable

_AGAIN = 0.02  # seconds between further attempts to stop code that catches everything


class TimeLimit(BaseException):
    """Raised inside code that runs too long; no Exception, so `except Exception` lets it pass."""


def run_within(seconds: float, work: Callable[[], object]) -> bool:
    """Call `work()` and tell whether it ended within the limit, in seconds.

    Signal handlers, timers and trace functions are as before when this returns. An interrupt
    from the keyboard still interrupts.
    """
    main = threading.current_thread() is threading.main_thread()
    if main and hasattr(signal, "setitimer"):
        return _run_with_alarm(seconds, work)
    return _run_with_watcher(seconds, work)


def _run_with_alarm(seconds: float, work: Callable[[], object]) -> bool:
    running, expired = True, False

    def stop_at_next_line(frame, event, argument):
        if running and event == "line":
            raise TimeLimit
        return stop_at_next_line

    def stop(number, frame):
        nonlocal expired
        if not running:
            return
        if expired:
            # The code has caught the first exception, by `except:` in a loop for example. It may
            # catch this one too; then its very next line, in the handler, raises once more.
            sys.settrace(stop_at_next_line)
            while frame is not None and frame.f_code is not _run_with_alarm.__code__:
                frame.f_trace = stop_at_next_line
                frame = frame.f_back
        expired = True
        raise TimeLimit

    trace, started = sys.gettrace(), time.monotonic()
    handler = signal.signal(signal.SIGALRM, stop)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        try:
            work()
        finally:
            running = False
    except TimeLimit:
        expired = True
    except Exception:
        if not expired:  # else it comes from a handler that was stopped half way
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if expired:
            sys.settrace(trace)
        if remaining:  # somebody else's alarm, put back with the time that is left
            left = remaining - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), interval)
    return not expired


def _run_with_watcher(seconds: float, work: Callable[[], object]) -> bool:
    thread = ctypes.c_ulong(threading.get_ident())
    finished, expired = threading.Event(), threading.Event()

    def watch():
        wait = seconds
        while not finished.wait(wait):
            expired.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeLimit))
            wait = _AGAIN

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            work()
        finally:
            finished.set()
    except TimeLimit:
        expired.set()
    except Exception:
        if not expired.is_set():
            raise
    finally:
        while True:
            try:  # the watcher may raise once more before it sees `finished`
                finished.set()
                watcher.join()
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)
                break
            except TimeLimit:
                continue
    return not expired.is_set()
