"""B2: CPU of ours and of the Go rivals while little or nothing happens, one after the other at the same API server."""
import contextlib
import time
from typing import NamedTuple

from bench.live import meter, seed, writes
from bench.live.sink import Sink
from e2e.support.system import BIN, Process, wait_for

RATES = (20, 200)
SETTLE, IDLE = 4, 12  # seconds
OURS, DYNAMIC, TYPED = "ours", "R1a", "R1b"
GOALS = {DYNAMIC: 5, TYPED: 3}
GOAL_IDLE = 0.1  # percent of a core
_SINK_PORT = seed.PORT + 50


@contextlib.contextmanager
def _our_agent(rig):
    with rig.ours() as ours:
        ours.start_agent()
        ours.wait_synced()
        yield ours.agent.process.process.pid
        time.sleep(1)
        ours.verdict(rig.api, at_least=rig.options.pods)


@contextlib.contextmanager
def _rival(rig, name):
    """Its certificate is that of the agent's user, and the sink's that of the API server: one authority signed both."""
    made, directory = rig.plane.directory, rig.directory / f"{name}-{time.monotonic_ns()}"
    identity = rig.directory / "rival-identity"
    identity.mkdir(exist_ok=True)
    for suffix in ("crt", "key"):
        (identity / f"tls.{suffix}").write_bytes((made / f"agent.{suffix}").read_bytes())
    sink = Sink(directory, [made / "apiserver.key", made / "apiserver.crt", made / "ca.crt"], _SINK_PORT)
    process = Process([BIN / "bench-rivals", "--mode", "typed" if name == TYPED else "dynamic", "--kubeconfig", rig.plane.agent_kubeconfig,
                       "--sink", f"127.0.0.1:{_SINK_PORT}", "--ca", made / "ca.crt", "--identity", identity], directory / "rival.log")
    try:
        wait_for(f"{name} has every pod", lambda: sink.count == rig.options.pods, 60)
        yield process.process.pid
        time.sleep(1)
    finally:
        process.kill()
        objects, faults = sink.close()
    listed = {(one["metadata"]["namespace"], one["metadata"]["name"]): (int(one["metadata"]["resourceVersion"]), one["metadata"]["uid"])
              for one in rig.api.list_all("/api/v1/pods")}
    assert not faults and objects == listed, f"{name}: ledger broken: {faults[:3]}, {len(objects)} objects"


class Cost(NamedTuple):
    used: float     # percent of a core without events, else microseconds an event
    wakeups: float  # a second


def _measure(rig, pid, number):
    """{rate: Cost}"""
    time.sleep(SETTLE)
    found = {}
    for rate in (0,) + RATES:
        before, woken, begun = meter.cpu(pid), meter.wakeups(pid), time.monotonic()
        if rate:
            written = writes.write(rig.plane.kubeconfig, rig.options.pods, rate, rig.options.seconds, 1000 * number + rate)
            time.sleep(0.5)
        else:
            time.sleep(IDLE)
        used, seconds = meter.cpu(pid) - before, time.monotonic() - begun
        found[rate] = Cost(1e6 * used / len(written) if rate else 100 * used / seconds, (meter.wakeups(pid) - woken) / seconds)
    return found


def run(rig):
    results, order = {OURS: [], DYNAMIC: [], TYPED: []}, [OURS, DYNAMIC, TYPED]
    for number in range(rig.options.rounds):
        for name in order:
            with _our_agent(rig) if name == OURS else _rival(rig, name) as pid:
                results[name].append(_measure(rig, pid, number))
            one = results[name][-1]
            rig.say(f"B2 {name}: idle {one[0].used:.3f} % of a core, " + ", ".join(f"{one[rate].used:.0f} us an event at {rate}/s" for rate in RATES))
        order.reverse()
    lines = []
    for rate in (0,) + RATES:
        of = {name: [one[rate].used for one in results[name]] for name in results}
        what, unit = ("idle", "%") if rate == 0 else (f"{rate} events/s", "us")
        line = f"B2 {what}: " + ", ".join(f"{name} {meter.spread(values, unit, 3 if rate == 0 else 0)}" for name, values in of.items())
        ours = meter.median(of[OURS])
        for name, goal in GOALS.items():
            times = meter.median(of[name]) / ours
            line += f"; {name} {times:.1f} times ours" + (f", goal {goal}: {meter.met(times >= goal)}" if rate else "")
        line += "; wake-ups/s " + ", ".join(f"{name} {meter.median([one[rate].wakeups for one in results[name]]):.0f}" for name in results)
        lines.append(line + (f"; goal < {GOAL_IDLE} %: {meter.met(ours < GOAL_IDLE)}" if rate == 0 else ""))
    return lines + ["B2 ledger: rows equal the lists, and the rivals' last versions do"]
