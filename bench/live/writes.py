"""Writes at the API server, and when each became a readable row. Both are processes of their own: threads of one would wait for
one another and be measured with it. Times are of the machine's monotonic clock."""
import json
import multiprocessing
import random
import threading
import time
from typing import NamedTuple

from bench.live import seed
from e2e.support import verdict
from e2e.support.api import Api

_PROCESSES = multiprocessing.get_context("spawn")
_CONNECTIONS = 12
_PAUSE = 0.0003  # between two looks at the rows


class Write(NamedTuple):
    name: str
    version: int
    answered: float
    size: int    # of the object as compact JSON
    late: float  # it was sent so much later than it was due


class Row(NamedTuple):
    name: str
    version: int
    seq: int
    seen: float


class _Plan:
    """When which pod is written: Poisson arrivals, each pod at most once until all were."""

    def __init__(self, pods, rate, seconds, number):
        self._chance = random.Random(number)
        self._order = self._chance.sample(range(pods), pods)
        self._rate, self._until, self._count = rate, seconds, 0
        self._due, self._lock = 0.0, threading.Lock()

    def take(self):
        """(seconds after the start, number of a pod); None: over."""
        with self._lock:
            self._due += self._chance.expovariate(self._rate)
            self._count += 1
            return (self._due, self._order[self._count % len(self._order)]) if self._due < self._until else None


def _write(kubeconfig, load, out):
    api, plan, done, started = Api(kubeconfig), _Plan(*load), [], time.monotonic() + 0.2
    numbers = random.Random()

    def run():
        api.call("GET", "/version")  # connects
        while (taken := plan.take()) is not None:
            due, pod = started + taken[0], taken[1]
            time.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due
            nonce = f"{numbers.getrandbits(128):032x}"
            answer = api.call("PATCH", f"{seed.PATH}/{seed.name_of(pod)}", {"metadata": {"annotations": {"live/nonce": nonce}}},
                              "application/merge-patch+json")
            answered = time.monotonic()
            metadata = answer["metadata"]
            size = len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode())
            done.append(Write(metadata["name"], int(metadata["resourceVersion"]), answered, size, late))
    threads = [threading.Thread(target=run) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.send(done)


def write(kubeconfig, pods, rate, seconds, number):
    """Merge patches of one annotation, `rate` a second for so long: [Write]. `number` makes the order."""
    here, there = _PROCESSES.Pipe(False)
    process = _PROCESSES.Process(target=_write, args=(str(kubeconfig), (pods, rate, seconds, number), there), daemon=True)
    process.start()
    there.close()
    done = here.recv()  # EOFError: the process died
    process.join()
    return done


def _follow(url, ready, stop, out):
    connection = verdict.open_database(url).connection
    cursor = connection.cursor()
    kind = cursor.execute("SELECT id FROM kinds WHERE resource = 'pods' AND shard > 0").fetchone()[0]
    newest = cursor.execute("SELECT coalesce(max(seq), 0) FROM objects WHERE kind = %s", (kind,)).fetchone()[0]
    seen, looks, begun = [], 0, time.monotonic()
    ready.set()
    while not stop.is_set():
        rows = cursor.execute("SELECT name, resource_version, seq FROM objects WHERE kind = %s AND seq > %s", (kind, newest), prepare=True).fetchall()
        now = time.monotonic()
        looks += 1
        for name, version, seq in rows:
            seen.append(Row(name, int(version), seq, now))
            newest = max(newest, seq)
        time.sleep(_PAUSE)
    out.send((seen, (time.monotonic() - begun) / looks))


class Follower:
    """Another session of the database: which rows became readable, and when, while the block runs. A shard's seq is committed in
    order, so asking for what is newer misses nothing that lasts longer than a look."""

    def __init__(self, url):
        self._ready, self._stop = _PROCESSES.Event(), _PROCESSES.Event()
        self._here, there = _PROCESSES.Pipe(False)
        self._process = _PROCESSES.Process(target=_follow, args=(str(url), self._ready, self._stop, there), daemon=True)
        self.rows, self.pause = [], 0.0  # the latter: seconds from one look to the next

    def __enter__(self):
        self._process.start()
        assert self._ready.wait(20), "the follower does not start"
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.rows, self.pause = self._here.recv()
        self._process.join()


def delays(written, rows):
    """Seconds from each write's answer until it or a later state of its object was readable; a row may be there before the answer
    (0). Raises when one never was, or a row came twice or went back."""
    states, problems = {}, []
    for row in rows:
        before = states.setdefault(row.name, [])
        if before and row.version <= before[-1].version:
            problems.append(f"{row.name}: {row.version} after {before[-1].version}")
        before.append(row)
    found = []
    for one in written:
        seen = next((row.seen for row in states.get(one.name, ()) if row.version >= one.version), None)
        if seen is None:
            problems.append(f"{one.name}: {one.version} was never readable")
        else:
            found.append(max(0.0, seen - one.answered))
    if problems:
        raise AssertionError(f"ledger broken, {len(problems)} faults; the first: {problems[0]}")
    return found
