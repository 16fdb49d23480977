"""What every step does, whatever tool runs it: note that it ran, hang if asked, add two numbers.

Copied into each project; standard library only. ``BENCH_LOG`` is the file of what ran, and
``BENCH_HOLD`` a file that is made when the step in the middle hangs, so that it is killed there.
"""

import os
import sys
import time
from pathlib import Path

MIDDLE = 10


def add(value: int, number: int) -> int:
    """Return the sum."""
    with Path(os.environ["BENCH_LOG"]).open("a") as log:
        log.write(f"{number}\n")
    hold = os.environ.get("BENCH_HOLD")
    if hold and number == MIDDLE:
        Path(hold).touch()
        time.sleep(600)
    return value + number


def wait(number: int) -> int:
    """Return the number, a second later."""
    time.sleep(1)
    return number


if __name__ == "__main__":  # for tools whose steps are commands: add N FROM... TO, or wait N TO
    what, number, *files = sys.argv[1:]
    if what == "wait":
        made = wait(int(number))
    elif what == "add":
        made = add(sum(int(Path(file).read_text()) for file in files[:-1]), int(number))
    else:
        made = sum(int(Path(file).read_text()) for file in files[:-1])
    Path(files[-1]).write_text(str(made))
