"""usage: python -m bench.live [--pods N] [--seconds N] [--rounds N] [--faults N] [--only FAULT] [--keep] B2|B4|B5|B6|B7|B10...

Benchmarks on a real API server, a real database and the real programs; docs/benchmarks.md says what each measures. Ends with one
line for each number. A benchmark whose ledger or verdict fails has no numbers.
"""
import argparse
import importlib
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

from bench.live import meter
from bench.live.rig import Rig

MODULES = {"B2": "b2_trickle", "B4": "b4_cold_sync", "B5": "b5_freshness", "B6": "b6_restart", "B7": "b7_failover", "B10": "b10_wire"}
SECONDS = 355  # each may take


def parse():
    parser = argparse.ArgumentParser(prog="python -m bench.live")
    parser.add_argument("benchmarks", nargs="+", choices=sorted(MODULES), metavar="|".join(sorted(MODULES)))
    parser.add_argument("--pods", type=int, default=0, help="0: as many as the benchmark says")
    parser.add_argument("--seconds", type=float, default=20, help="each load lasts so long")
    parser.add_argument("--rounds", type=int, default=2, help="of those that take turns with something else")
    parser.add_argument("--faults", type=int, default=20, help="B7: how many of each")
    parser.add_argument("--only", default="", help="B7: the name of one fault")
    parser.add_argument("--seed", type=int, default=7, help="B7")
    parser.add_argument("--keep", action="store_true", help="keep logs also when nothing failed")
    return parser.parse_args()


def end(number, _):
    raise SystemExit(f"bench: ended by {signal.Signals(number).name}")


def run(name, pods, options, directory, say):
    """Its lines; raises when it has none."""
    module = importlib.import_module(f"bench.live.{MODULES[name]}")
    if getattr(module, "ALONE", False):
        return module.run(options, say)
    signal.alarm(SECONDS)
    (directory / name).mkdir()
    options.pods = pods or getattr(module, "PODS", 10_000)
    rig = Rig(directory / name, options, say)
    try:
        return module.run(rig)
    finally:
        signal.alarm(0)
        rig.close()


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, end)
    pods, started = options.pods, time.monotonic()

    def say(line):
        print(f"{time.monotonic() - started:6.1f} {line}", flush=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-bench-live."))
    directory.chmod(0o755)
    say(meter.machine())
    lines, failed = [], False
    for name in options.benchmarks:
        try:
            lines += run(name, pods, options, directory, say)
        except Exception:  # pylint: disable=broad-exception-caught  # the others have their numbers still
            traceback.print_exc()
            lines.append(f"{name}: VOID: see above; logs in {directory}")
            failed = True
    print("\n".join(lines))
    if not failed and not options.keep:
        shutil.rmtree(directory)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
