"""B7: two agents of an account, killed, stopped and cut off while writers run: e2e/chaos once for each fault, and its gaps as one
table. What is judged there is judged here: docs/chaos.md."""
import re
import subprocess
import sys

FAULTS = ("agent killed", "agent stopped", "link cut both ways", "link cut upwards", "link cut downwards", "endpoint killed")
ALONE = True  # brings its own rig, and bounds its own time


def run(options, say):
    lines = []
    for fault in [options.only] if options.only else FAULTS:
        command = [sys.executable, "-m", "e2e.chaos", "--faults", str(options.faults), "--seed", str(options.seed), "--only", fault]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{fault}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        gaps, _, judged = re.search(rf"^{fault} +(\d.*s)(  .*)?\n(?:.*\n)*?(.*writes answered.*\nverdict: .*\nledger: .*)", done.stdout, re.MULTILINE).groups()
        bar = re.search(rf"^{fault} .*s  (.*)$", done.stdout, re.MULTILINE)
        lines.append(f"B7 {fault}, times, gap p50, p99, max: {' '.join(gaps.split())}; goal p99 < {bar.group(1)}")
        say(lines[-1])
        say(judged.replace("\n", "; "))
        lines.append(f"B7 {fault}: " + judged.replace("\n", "; "))
    return lines
