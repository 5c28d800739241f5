"""Writers: creates, updates, deletes, re-creations under the same name and writes that change nothing, each with a nonce in an
annotation, over five kinds. What was answered goes into the ledger; what was not is looked up before its object is used again."""
import random
import threading
import time
from typing import NamedTuple

from e2e.chaos.journal import NONCE
from e2e.chaos.ledger import Doubt, Write
from e2e.support import storm
from e2e.support.api import ApiError

PATHS = storm.PATHS | {"Secret": "/api/v1/namespaces/{ns}/secrets"}
KINDS = tuple(PATHS)
NAMES = 12  # of each kind and writer; the first is written most, so that one object has many states in a short time
SIZES = (10, 500, 5000)  # so that what waits after a fault is more than one batch
GIVE_UP = 120  # seconds
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


class _Object(NamedTuple):
    uid: str
    version: int
    nonce: str


class _Writer(threading.Thread):
    """Owns the names it writes, so that it knows the order of what happens to each."""

    def __init__(self, team, number):
        super().__init__(name=f"writer-{number}", daemon=True)
        self._team, self._number = team, number
        self._chance = random.Random(f"{team.seed}-writer-{number}")
        self._objects, self._count = {}, 0

    def run(self):
        while not self._team.stopping.is_set():
            begun = time.monotonic()
            self._once()
            self._team.stopping.wait(max(0.0, self._team.pause - (time.monotonic() - begun)))

    def _once(self):
        kind, name = self._chance.choice(KINDS), f"chaos-{self._number}-{int(NAMES * self._chance.random() ** 3)}"
        draw = self._chance.random()
        if (kind, name) not in self._objects:
            self._create(kind, name)
        elif draw < 0.55:
            self._update(kind, name)
        elif draw < 0.65:
            self._touch(kind, name)
        else:
            self._remove(kind, name)
            if draw > 0.85:
                self._create(kind, name)

    def _key(self, kind, name):
        return PATHS[kind].rsplit("/", 1)[1], self._team.namespace, name

    def _nonce(self):
        self._count += 1
        return f"{self._number}-{self._count}"

    def _annotations(self, nonce):
        return {NONCE: nonce, "noise": storm.noise(self._chance.choice(SIZES))}

    def _create(self, kind, name):
        nonce = self._nonce()
        body = {"type": "Opaque"} if kind == "Secret" else storm.spec_of(kind)
        self._put(kind, name, "", nonce, "POST", "", {"apiVersion": storm.VERSIONS.get(kind, "v1"), "kind": kind,
                                                      "metadata": {"name": name, "annotations": self._annotations(nonce)}, **body})

    def _update(self, kind, name):
        nonce = self._nonce()
        self._put(kind, name, self._objects[kind, name].uid, nonce, "PATCH", f"/{name}",
                  {"metadata": {"annotations": self._annotations(nonce)}}, MERGE)

    def _put(self, kind, name, uid, nonce, method, path, body, content_type="application/json"):
        begun = time.monotonic()
        try:
            answer = self._call(kind, method, path, body, content_type)
        except (ApiError, OSError):
            self._team.ledger.doubted(Doubt(self._key(kind, name), "put", uid, nonce))
            self._look_up(kind, name)
            return
        self._keep(kind, name, answer, "put", begun)

    def _touch(self, kind, name):
        """A newer version of what is cut before an object is kept: a Secret's data, another manager of the same fields."""
        kept = self._objects[kind, name]
        begun = time.monotonic()
        try:
            if kind == "Secret":
                answer = self._call(kind, "PATCH", f"/{name}", {"stringData": {"value": storm.noise(12)}}, MERGE)
            else:
                answer = self._call(kind, "PATCH", f"/{name}?fieldManager=touch-{self._chance.randrange(10)}&force=true", {
                    "apiVersion": storm.VERSIONS[kind], "kind": kind, "metadata": {"name": name, "annotations": {NONCE: kept.nonce}}}, APPLY)
        except (ApiError, OSError):
            self._look_up(kind, name, op="touch")
            return
        self._keep(kind, name, answer, "touch", begun)

    def _remove(self, kind, name):
        kept = self._objects[kind, name]
        begun = time.monotonic()
        try:
            self._call(kind, "DELETE", f"/{name}", {"gracePeriodSeconds": 0, "preconditions": {"uid": kept.uid}})
        except (ApiError, OSError):
            self._team.ledger.doubted(Doubt(self._key(kind, name), "delete", kept.uid, kept.nonce))
            self._look_up(kind, name)
            return
        self._gone(kind, name, begun)

    def _look_up(self, kind, name, op="put"):
        """After a write without an answer: what there is now."""
        self._team.unanswered += 1
        begun, answer = time.monotonic(), None
        while answer is None and not self._team.problems:
            time.sleep(0.1)
            try:
                answer = self._call(kind, "GET", f"/{name}")
                if "deletionTimestamp" in answer["metadata"]:  # a pod that is marked and did not go: any write ends it
                    answer = None
                    self._call(kind, "DELETE", f"/{name}", {"gracePeriodSeconds": 0})
            except (ApiError, OSError) as error:
                if getattr(error, "status", 0) == 404:
                    if (kind, name) in self._objects:
                        self._gone(kind, name, begun)
                    return
                if time.monotonic() > begun + GIVE_UP:
                    self._team.problems.append(f"the API server has not answered for {GIVE_UP} s: {error}")
                    self._team.stopping.set()
        known = self._objects.get((kind, name))
        if answer and (known is None or known.version != int(answer["metadata"]["resourceVersion"])):
            self._keep(kind, name, answer, op, begun)

    def _keep(self, kind, name, answer, op, begun):
        metadata = answer["metadata"]
        kept = self._objects[kind, name] = _Object(metadata["uid"], int(metadata["resourceVersion"]), metadata["annotations"][NONCE])
        self._team.record(kind, Write(self._key(kind, name), op, *kept, begun, time.monotonic()))

    def _gone(self, kind, name, begun):
        kept = self._objects.pop((kind, name))
        self._team.record(kind, Write(self._key(kind, name), "delete", *kept, begun, time.monotonic()))

    def _call(self, kind, method, path, body=None, content_type="application/json"):
        return self._team.api.call(method, PATHS[kind].format(ns=self._team.namespace) + path, body, content_type)


class Writers:
    """`rate` writes a second in all, until stop()."""

    def __init__(self, api, namespace, ledger, seed, rate=60, threads=3):
        self.api, self.namespace, self.ledger, self.seed = api, namespace, ledger, seed
        self.pause = threads / rate
        self.stopping = threading.Event()
        self.unanswered, self.problems = 0, []
        self._newest = {}  # each kind's last answered write that has to land
        self._threads = [_Writer(self, number) for number in range(threads)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Those under way are answered first."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def record(self, kind, write):
        self.ledger.wrote(write)
        if write.op != "touch":
            self._newest[kind] = write

    def newest(self):
        """{kind: its last answered write}"""
        return dict(self._newest)
