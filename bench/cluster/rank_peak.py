"""Runs a command and writes what it took: rank_peak.py FILE COMMAND ...

scaling.py starts it under mpirun, once per rank; FILE.RANK then holds JSON: the peak of resident bytes, seconds by the clock and of the
processor. The command's exit status is this one's. The peak is at least that of Python, some 10 MB: a process
begins as a copy of who starts it.
"""

import json
import os
import sys
import time

started = time.monotonic()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
rank = os.environ.get("OMPI_COMM_WORLD_RANK", "0")
with open(f"{sys.argv[1]}.{rank}", "w") as file:
    taken = {
        "peak": used.ru_maxrss * 1024,
        "seconds": time.monotonic() - started,
        "processor": used.ru_utime + used.ru_stime,
    }
    json.dump(taken, file)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
