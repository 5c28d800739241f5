"""Random creates, updates and deletes over four kinds, from several threads, at a known rate."""
import base64
import os
import random
import threading
import time

from e2e.support.api import ApiError

PATHS = {
    "Pod": "/api/v1/namespaces/{ns}/pods",
    "ConfigMap": "/api/v1/namespaces/{ns}/configmaps",
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments",
    "Widget": "/apis/example.com/v1/namespaces/{ns}/widgets",
}
VERSIONS = {"Pod": "v1", "ConfigMap": "v1", "Deployment": "apps/v1", "Widget": "example.com/v1"}


def noise(size=60):
    return base64.b64encode(os.urandom(size)).decode()


def spec_of(kind):
    containers = [{"name": "main", "image": "none.local/x:1", "env": [{"name": "NOISE", "value": noise()}]}]
    if kind == "Pod":
        return {"spec": {"schedulerName": "nobody", "containers": containers}}
    if kind == "Deployment":
        labels = {"app": "storm"}
        return {"spec": {"replicas": 0, "selector": {"matchLabels": labels},
                         "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}}}}
    if kind == "ConfigMap":
        return {"data": {"noise": noise(), "text": "ümläut \"quoted\" \\ and \u2028"}}
    return {"spec": {"noise": noise(), "big": 9007199254740993, "exact": 1.10, "deep": {"list": [1, None, True, []]}}}


class Storm:
    """`writes` answered writes over `threads` threads, about `rate` a second in all."""

    def __init__(self, api, namespace, writes, rate=250, threads=4, seed=1, kinds=tuple(PATHS)):
        self.api, self.namespace, self.kinds = api, namespace, kinds
        self.answered, self.failed = 0, 0
        self._lock = threading.Lock()
        self._left = writes
        self._pause = threads / rate
        self._threads = [threading.Thread(target=self._run, args=(seed * 100 + i, i)) for i in range(threads)]
        self.started = time.monotonic()
        self.seconds = 0.0

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        """No further writes; those under way are answered."""
        with self._lock:
            self._left = 0
        return self.join()

    def join(self):
        for thread in self._threads:
            thread.join()
        self.seconds = time.monotonic() - self.started
        return self

    def wait_until_fast(self, at_least=100, seconds=40):
        """Until that many writes were answered within the last second."""
        deadline, most = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            before = self.answered
            time.sleep(1)
            most = max(most, self.answered - before)
            if most >= at_least:
                return
        raise AssertionError(f"this machine answers {most} writes a second at most now, and the test wants {at_least}")

    def rate(self):
        return self.answered / max(self.seconds or time.monotonic() - self.started, 0.001)

    def _take(self):
        with self._lock:
            self._left -= 1
            return self._left >= 0

    def _run(self, seed, number):
        chance, known, counter = random.Random(seed), [], 0
        while self._take():
            begun = time.monotonic()
            try:
                draw = chance.random()
                if not known or draw < 0.45:
                    counter += 1
                    kind = chance.choice(self.kinds)
                    name = f"storm-{number}-{seed}-{counter}"
                    self.api.call("POST", PATHS[kind].format(ns=self.namespace), {
                        "apiVersion": VERSIONS[kind], "kind": kind,
                        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": f"app{chance.randrange(5)}"}},
                        **spec_of(kind)})
                    known.append((kind, name))
                elif draw < 0.75:
                    kind, name = chance.choice(known)
                    self.api.call("PATCH", PATHS[kind].format(ns=self.namespace) + "/" + name,
                                  {"metadata": {"annotations": {"storm": noise(20)}}},
                                  content_type="application/merge-patch+json")
                else:
                    kind, name = known.pop(chance.randrange(len(known)))
                    self.api.call("DELETE", PATHS[kind].format(ns=self.namespace) + "/" + name,
                                  {"gracePeriodSeconds": 0})
                with self._lock:
                    self.answered += 1
            except (ApiError, OSError):
                # Answered with an error, or not at all: the verdict asks the server what is true.
                with self._lock:
                    self.failed += 1
                time.sleep(0.2)
            time.sleep(max(0.0, self._pause - (time.monotonic() - begun)))
