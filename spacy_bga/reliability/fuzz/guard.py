"""A process in which one input is tried after the other: bounded in time and memory, and watched by Python's auditing
for what no input may bring about: a connection, another process, or an object that is unpickled."""

from __future__ import annotations

import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

CPU_LIMIT = 60.0  # seconds of the processor for one input
WALL_LIMIT = 900.0  # seconds by the clock: what waits for a pipe to be written to takes no processor
MEMORY_LIMIT = 1500  # MiB that one input may take beyond what the process had
_HARD_MEMORY_LIMIT = 6000  # MiB of address space more than at the start; beyond it, allocations fail
FORBIDDEN = {
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "urllib.Request",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "pickle.find_class",
    "ctypes.dlopen",
    "webbrowser.open",
}


class Forbidden(BaseException):
    """Something that no input may bring about. Not an Exception: nothing that handles errors may handle it."""


class Auditor:
    """Refuses, once switched on, what is in `FORBIDDEN`, and to open a file below its `secret`: a folder outside of the
    image root that links and paths lead to."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.found: list[str] = []
        self._on = False
        sys.addaudithook(self._hear)  # for good: an audit hook can't be removed

    def switch(self, on: bool) -> None:
        """Switch it on or off."""
        self._on = on

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        leak = event == "open" and self.secret is not None and str(arguments[0]).startswith(self.secret)
        if event in FORBIDDEN or leak:
            self.found.append(f"{event} {arguments!r}"[:300])
            raise Forbidden(f"{event} {arguments!r}"[:300])


def limit_process() -> None:
    """Bound this process's address space, and let the timers of `start_clock` end it."""
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = size + _HARD_MEMORY_LIMIT * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Meter:
    """Seconds of the processor and MiB of memory that one input takes; the process ends where they are far too many."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._memory = _status("VmRSS")
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT)
        signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT)
        self._cpu = time.process_time()

    def stop(self) -> tuple[float, float]:
        """RETURNS (tuple[float, float]): The seconds, and the MiB at the peak beyond those at the start."""
        seconds = time.process_time() - self._cpu
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return seconds, max(0.0, _status("VmHWM") - self._memory)


def _status(field: str) -> float:
    """RETURNS (float): A field of /proc/self/status, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field}")
