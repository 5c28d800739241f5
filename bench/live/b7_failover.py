"""B7: two agents of an account, killed, stopped and cut off while writers run: e2e/chaos once for each fault, and its gaps as one
table. What is judged there is judged here: docs/chaos.md."""
import subprocess
import sys

FAULTS = ("agent killed", "agent stopped", "link cut both ways", "link cut upwards", "link cut downwards", "endpoint killed")
ALONE = True  # brings its own rig, and bounds its own time


def _one(fault, options):
    """What the driver says of `fault`: the row of its table, and what was judged."""
    command = [sys.executable, "-m", "e2e.chaos", "--faults", str(options.faults), "--seed", str(options.seed), "--only", fault]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{fault}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    lines = done.stdout.splitlines()
    row = next(line for line in lines if line.startswith(f"{fault:30}"))
    judged = [line for line in lines if line.startswith(("verdict: ", "ledger: ")) or "writes answered" in line]
    return " ".join(row.removeprefix(fault).split()), "; ".join(judged)


def run(options, say):
    lines = ["B7 fault: times, gap p50, p99, max, goal of the p99"]
    for fault in [options.only] if options.only else FAULTS:
        row, judged = _one(fault, options)
        lines.append(f"B7 {fault}: {row}; {judged}")
        say(lines[-1])
    return lines
