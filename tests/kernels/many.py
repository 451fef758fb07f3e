"""So many sessions at once on the kernel that runs this: all of them stand; then the controller goes,
all end at the same moment, and the next request is answered.  many.py COUNT"""

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
COMPLAINTS = re.compile("BUG|WARNING|Oops|hung task|stall|lockup|Out of memory", re.IGNORECASE)


def wait_until_gone(gate, processes):
    start = time.monotonic()
    while (left := len(gate.group.pids()) - processes) > 0:
        if time.monotonic() - start > PATIENCE:
            sys.exit(f"{left} sessions are still there after {PATIENCE} s")
        time.sleep(0.1)  # between two looks
    return time.monotonic() - start


def status(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    return connection.getresponse().status


def main(count):
    install()
    Journal()
    backend = Backend()
    gate = Gate(backend)
    processes, before = len(gate.group.pids()), gate.group.memory()
    start = time.monotonic()
    with measure.load(gate.port, "idle", count) as go:
        go()    # each has passed on a message
        print(f"{count} sessions stand after {time.monotonic() - start:.0f} s", flush=True)
        stood = len(gate.group.pids()) - processes
        each = (gate.group.memory()[0] - before[0]) / count / 1000
        backend.close()
        seconds = wait_until_gone(gate, processes)
    print(f"{each:.0f} kB each; their controller gone, they were gone in {seconds:.0f} s", flush=True)
    answer = status(gate.port)
    gate.close()
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, check=True).stdout
    complaints = [line for line in log.splitlines() if COMPLAINTS.search(line)]
    if stood != count or answer != 502 or complaints:
        sys.exit("\n".join([f"{stood} processes for {count} sessions, then {answer}", *complaints]))


main(int(sys.argv[1]))
