"""CPU time of processes, and how numbers are told."""
import os
import pathlib
import re
import time

_TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    """Seconds, user and system, of all threads of a process, ended ones included. The clock of clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def cpu_of_family(pid):
    """Seconds, of a process and all its children, ended ones included, in hundredths."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    own = sum(int(field) for field in fields[11:15]) / _TICK  # utime, stime, and those of children that were waited for
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_of_family(int(child)) for child in children)


def wakeups(pid):
    """How often its threads that live began to run again after they had waited."""
    status = (file.read_text() for file in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", one, re.MULTILINE).group(1)) for one in status)


def percentile(values, percent):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def median(values):
    return percentile(values, 50)


def spread(values, unit, digits=1):
    """"12.3 us (11.0 to 14.0)" """
    return f"{median(values):.{digits}f} {unit} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def latencies(seconds):
    """p50, p99 and max in milliseconds, as text."""
    return " / ".join(f"{1000 * value:.1f}" for value in (percentile(seconds, 50), percentile(seconds, 99), max(seconds)))


def met(is_met):
    return "met" if is_met else "MISSED"


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    return f"machine: {model}, {os.cpu_count()} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f} at the start"
