"""An API server that has pods already. Made once for each number of pods and kept in the cache; a run works on a copy."""
import os
import random
import shutil
import threading
import time

from e2e.support import system
from e2e.support.api import Api
from e2e.support.plane import prepare

NAMESPACE, PORT = "live", 27000
PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
CONNECTIONS = 8


def name_of(number):
    return f"live-{number:06}"


def _container(chance, number):
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 10, "periodSeconds": 10}
    return {"name": f"app-{number}", "image": f"registry.example/shop/app@sha256:{chance.randbytes(32).hex()}",
            "ports": [{"name": f"http-{number}", "containerPort": 8080 + number}],
            "env": [{"name": f"SETTING_{i}", "value": chance.randbytes(12).hex()} for i in range(12)],
            "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": probe, "readinessProbe": probe}


def pod(number):
    """As bench/corpus.h has them: two containers, and random where real ones are random. No node takes it."""
    chance = random.Random(number)
    application = f"shop{number % 50}"
    return {"metadata": {"name": name_of(number),
                         "labels": {"app.kubernetes.io/name": application, "app.kubernetes.io/managed-by": "spinnaker",
                                    "pod-template-hash": chance.randbytes(5).hex()},
                         "annotations": {"moniker.spinnaker.io/application": application, "moniker.spinnaker.io/cluster": f"deployment {application}",
                                         "artifact.spinnaker.io/version": chance.randbytes(16).hex(),
                                         "checksum/config": chance.randbytes(32).hex()}},
            "spec": {"schedulerName": "nobody", "terminationGracePeriodSeconds": 0,
                     "containers": [_container(chance, number) for number in range(2)]}}


def _create(api, pods):
    numbers, lock, problems = iter(range(pods)), threading.Lock(), []

    def run():
        try:
            while not problems:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                api.call("POST", PATH, pod(number))
        except Exception as error:  # pylint: disable=broad-exception-caught  # of a thread: told below
            problems.append(error)
    threads = [threading.Thread(target=run) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _seed(directory, pods):
    plane = system.ControlPlane(directory, PORT)
    try:
        api = Api(plane.kubeconfig)
        prepare(api)
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        _create(api, pods)
    finally:
        plane.down()
    for log in directory.glob("*.log"):
        log.unlink()


def plane(directory, pods, say):
    """A running one in `directory`, with `pods` pods in NAMESPACE and nothing else that is large."""
    kept = system.CACHE / f"bench/plane-{pods}"
    if not kept.exists():
        begun, fresh = time.monotonic(), kept.with_name(f"{kept.name}.{os.getpid()}")
        try:
            _seed(fresh, pods)
            fresh.rename(kept)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        say(f"made {pods} pods in {time.monotonic() - begun:.0f} s, once for this machine: {kept}")
    shutil.copytree(kept, directory)
    return system.ControlPlane(directory, PORT)
