"""A time limit for code that may loop for ever, in any thread and on any platform.

In the main thread of Linux and macOS an alarm signal stops the code, even while it sleeps.
Elsewhere a second thread stops it; a sleep, or one long call into C, then ends first, and code
that catches everything in a loop may go on.
"""

import _thread
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable

# Seconds between further attempts to stop code that catches everything. From outside one attempt
# must have ended before the next.
_AGAIN, _AGAIN_FROM_OUTSIDE = 0.02, 0.5


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
        if expired:
            sys.settrace(trace)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:  # somebody else's alarm, put back with the time that is left
            left = remaining - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001), interval)
    return not expired


def _run_with_watcher(seconds: float, work: Callable[[], object]) -> bool:
    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    running = threading.Lock()  # held while `work` runs
    begun = watching = expired = False
    error: BaseException | None = None

    def watch():
        nonlocal watching, expired
        watching, wait = True, seconds
        while not running.acquire(timeout=wait):
            expired = True
            raise_in(thread, ctypes.py_object(TimeLimit))
            wait = _AGAIN_FROM_OUTSIDE
        watching = False

    running.acquire()
    while True:
        # TimeLimit may come at any line of this block, also when `work` has just returned. Then
        # the block runs again, so its lines may run twice and must not wait for a lock.
        try:
            if not begun:
                begun = True
                _thread.start_new_thread(watch, ())
                work()
            if running.locked():
                running.release()
            while watching:
                time.sleep(0.001)
            time.sleep(0)  # one that is still on its way arrives here
            break
        except TimeLimit:
            expired = True
        except BaseException as raised:
            error = raised
    if error is not None and not (expired and isinstance(error, Exception)):
        raise error
    return not expired
