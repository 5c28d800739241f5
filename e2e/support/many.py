"""Small accounts in numbers: each sees the ConfigMaps of a namespace of its own."""
import multiprocessing.pool
import threading
import time

from e2e.support.system import wait_for


def names(prefix, count):
    return [f"{prefix}-{number:03}" for number in range(count)]


def add(endpoint, api, accounts, identity="agent-1", **more):
    """Accounts, and namespaces of the same names with a ConfigMap in each."""
    def one(name):
        endpoint.put_account(name, identity, {"kinds": ["configMap"], "namespaces": [name]}, **more)
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        api.call("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "one"}, "data": {"v": "0"}})
    with multiprocessing.pool.ThreadPool(4) as pool:
        pool.map(one, accounts)


def synced(endpoint, accounts):
    """Of these, how many are."""
    known = {one["name"]: one["status"] for one in endpoint.get("/v1/accounts")["accounts"]}
    return sum(1 for name in accounts if known[name]["connected"] and known[name]["synced"])


def wait_synced(endpoint, accounts, seconds=60):
    """Seconds until all are."""
    begun = time.monotonic()
    wait_for(f"{len(accounts)} accounts are in sync", lambda: synced(endpoint, accounts) == len(accounts), seconds, pause=0.1)
    return time.monotonic() - begun


class Probing(threading.Thread):
    """Writes with `probe` one after the other until stop(); `waits` has how long each took to be a row."""

    def __init__(self, probe, pause=0.02):
        super().__init__(daemon=True)
        self._probe, self._pause, self._stopping = probe, pause, threading.Event()
        self.waits, self.problem = [], None
        self.start()

    def run(self):
        try:
            while not self._stopping.wait(self._pause):
                self.waits.append(self._probe.write_to_row())
        except Exception as problem:  # pylint: disable=broad-exception-caught  # told by stop()
            self.problem = problem

    def stop(self):
        self._stopping.set()
        self.join()
        if self.problem:
            raise self.problem
        return self.waits
