"""usage: python -m e2e.chaos [--faults N] [--seed N] [--database postgresql|mariadb|sqlite] [--rate WRITES_A_SECOND] [--only FAULT] [--keep]

Seeded faults while writers run; docs/chaos.md says what is judged. Runs in network and process namespaces of its own where the
machine allows it: then packets can be lost, and nothing outlives it whatever happens.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from e2e.chaos import report
from e2e.chaos.driver import Run
from e2e.chaos.rig import Rig, WallClock

SECONDS_A_FAULT, SECONDS_AROUND = 15, 300  # bounds, not what they take


def parse():
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos")
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10**6))
    parser.add_argument("--database", choices=("postgresql", "mariadb", "sqlite"), default="postgresql")
    parser.add_argument("--rate", type=int, default=60)
    parser.add_argument("--only", default="", help="the name of one fault, again and again")
    parser.add_argument("--true-clocks", action="store_true",
                        help="no clock jumps, and so no libfaketime, under which gRPC's threads take a core: for gaps")
    parser.add_argument("--keep", action="store_true", help="keep logs and database files also when nothing was found")
    return parser.parse_args()


def enter_namespaces(options):
    """Becomes the same program in namespaces of its own, if that is possible."""
    inside = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if "CHAOS_NAMESPACE" in os.environ or subprocess.run(inside + ["true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        return
    os.environ["CHAOS_NAMESPACE"] = "own"
    command = [sys.executable, "-m", "e2e.chaos", "--faults", options.faults, "--seed", options.seed, "--database", options.database,
               "--rate", options.rate, "--only", options.only] + ["--keep"] * options.keep + ["--true-clocks"] * options.true_clocks
    os.execvp(inside[0], inside + ["--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"] + [str(part) for part in command])


def end(number, _):
    raise SystemExit(f"chaos: ended by {signal.Signals(number).name}")


def main():
    options = parse()
    enter_namespaces(options)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, end)
    signal.alarm(SECONDS_AROUND + SECONDS_A_FAULT * options.faults)
    started = time.monotonic()

    def say(line):
        print(f"{time.monotonic() - started:6.1f} {line}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-chaos."))
    directory.chmod(0o755)
    again = f"make chaos FAULTS={options.faults} SEED={options.seed} DATABASE={options.database} RATE={options.rate}"
    again += f" ONLY='{options.only}'" if options.only else ""
    again += " CLOCKS=true" if options.true_clocks else ""
    say(f"seed {options.seed}: {again}")
    if options.true_clocks or (options.only and "clock" not in options.only):
        WallClock.library = None
    run, failed = None, True
    try:
        rig = Rig(directory, options.database)
        try:
            run = Run(rig, options, say)
            run.go()
            failed = bool(run.offences)
        except BaseException:  # the logs are worth more than a clean end
            traceback.print_exc()
        finally:
            rig.close()
    except Exception:  # pylint: disable=broad-exception-caught  # of whatever did not start
        traceback.print_exc()
    if run is not None and run.struck:
        print("\n".join(report.table(run.struck) + report.summary(run)))
        (directory / "ledger.txt").write_text("\n".join(report.stories(run)) + "\n")
        print("\n".join(f"{one.kind}: {one.text}" for one in run.offences[:20]))
    if failed:
        print(f"chaos: FAILED. Again: {again}\nlogs, and in ledger.txt what is known of each object concerned: {directory}")
    elif options.keep:
        print(f"logs: {directory}")
    else:
        shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
