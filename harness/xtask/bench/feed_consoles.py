"""Many consoles that talk at full rate: `COUNT BYTES_PER_SECOND FEED FOLDER`.

Makes that many raw pseudo-terminals, writes their names into FOLDER/ports, and when FOLDER/go is
there, says on each a line with its number and then FEED. Like a UART it waits for nobody: what a
terminal does not take at its time is lost. Ends when all is said and FOLDER/done is there; prints
how many bytes were lost.
"""

import os
import pty
import sys
import time
import tty

# As a UART's interrupts, a hundred times a second.
TICK = 0.01


def wait_for(path):
    """Until the file is there."""
    while not os.path.exists(path):
        time.sleep(TICK)


def main():
    """Feeds them all."""
    count, rate, feed, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    with open(feed, "rb") as file:
        text = file.read()
    masters, slaves = [], []
    for _ in range(count):
        master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        masters.append(master)
        slaves.append(slave)
    names = os.path.join(folder, "ports")
    with open(names + ".new", "w", encoding="ascii") as file:
        file.write("".join(os.ttyname(slave) + "\n" for slave in slaves))
    os.rename(names + ".new", names)
    wait_for(os.path.join(folder, "go"))
    texts = [b"console %03d\r\n" % number + text for number in range(count)]
    began, said, lost = time.monotonic(), 0, 0
    while said < len(texts[0]):
        due = int((time.monotonic() - began) * rate)
        for master, whole in zip(masters, texts):
            piece = whole[said:due]
            try:
                lost += len(piece) - os.write(master, piece)
            except BlockingIOError:
                lost += len(piece)
        said = due
        next_tick = began + (int((time.monotonic() - began) / TICK) + 1) * TICK
        time.sleep(max(0.0, next_tick - time.monotonic()))
    wait_for(os.path.join(folder, "done"))
    print(lost)


main()
