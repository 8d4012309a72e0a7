"""labgrid, driven through its own drivers.

- `expect LINK WORDS`: CPU seconds of this process for one expect on a PTY.
- `shell LINK COUNT`: the median round trip in milliseconds of commands on a shell on a PTY.

Each prints one line.
"""

import logging
import resource
import statistics
import sys
import time

from labgrid import Target
from labgrid.driver import SerialDriver, ShellDriver
from labgrid.resource import RawSerialPort


def cpu():
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def commands(shell, count):
    """The median round trip."""
    spans = []
    for index in range(count):
        began = time.perf_counter()
        out, _, code = shell.run(f"echo hello-{index}")
        spans.append((time.perf_counter() - began) * 1000)
        assert (out, code) == ([f"hello-{index}"], 0), (out, code)
    print(f"{statistics.median(spans):.3f}")


def main():
    """Runs one comparison."""
    kind, link, argument = sys.argv[1:4]
    logging.getLogger().setLevel(logging.WARNING)
    target = Target("bench")
    RawSerialPort(target, name=None, port=link, speed=115200)
    serial = SerialDriver(target, name=None)
    if kind == "expect":
        target.activate(serial)
        before = cpu()
        serial.expect(argument, timeout=900)
        print(f"{cpu() - before:.3f}")
        return
    shell = ShellDriver(target, name=None, prompt=r"root@dut:[^ ]*# ", login_prompt=" login: ", username="root")
    target.activate(shell)
    commands(shell, int(argument))


main()
