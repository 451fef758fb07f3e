"""So many sessions at once on the kernel that runs this: all of them stand; then the controller goes,
each ends as soon as its client has been given the time to end as well (30 s, and this client does
not), exits at a random moment after that, and the next request is answered.  many.py COUNT"""

import http.client
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import measure  # noqa: E402
from bench import Journal  # noqa: E402
from contestant import Backend, install  # noqa: E402
from contestants import Gate  # noqa: E402

# s; without the processor's help one session takes 0.1 s to begin and 0.02 s to end
measure.LOAD_TIMEOUT = PATIENCE = 2400
COMPLAINTS = re.compile(r"BUG:|WARNING:|Oops:|blocked for more|self-detected stall|detected stalls|"
                        r"lockup -|Out of memory")


class SpreadGate(Gate):
    """As its units start it: told how many processes there are, so that not all exit at once."""

    def activate(self, program, *options):
        count = self.group.dirs[0] / "pids.current"
        super().activate(program, f"--spread={count}", *options)


def wait_until_gone(gate, processes):
    """Returns whether they are."""
    end = time.monotonic() + PATIENCE
    while (left := len(gate.group.pids()) - processes) > 0 and time.monotonic() < end:
        time.sleep(0.1)  # between two looks
    return left == 0


def complaints():
    """The kernel's."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in log.splitlines() if COMPLAINTS.search(line)]


def status(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    return connection.getresponse().status


def main(count):
    install()
    Journal()
    backend = Backend()
    gate = SpreadGate(backend)
    processes, before = len(gate.group.pids()), gate.group.memory()
    start = time.monotonic()
    with measure.load(gate.port, "idle", count) as go:
        go()    # each has passed on a message
        print(f"{count} sessions stand after {time.monotonic() - start:.0f} s", flush=True)
        stood = len(gate.group.pids()) - processes
        each = (gate.group.memory()[0] - before[0]) / count / 1000
        start = time.monotonic()
        backend.close()
        gone = wait_until_gone(gate, processes)
    print(f"{each:.0f} kB each; {time.monotonic() - start:.0f} s after their controller all are gone",
          flush=True)
    wrong = complaints()
    if stood != count or not gone:
        wrong.append(f"{stood} processes for {count} sessions, then still "
                     f"{len(gate.group.pids()) - processes}")
    elif (answer := status(gate.port)) != 502:
        wrong.append(f"{answer} for a request after that")
    gate.close()
    sys.exit("\n".join(wrong) or None)


main(int(sys.argv[1]))
