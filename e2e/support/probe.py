"""How long after its answer a write is readable as a row."""
import time

from e2e.support.system import wait_for


class Probe:
    """Writes one ConfigMap of `namespace` again and again. version_of("configmaps", namespace, name) reads its row's."""

    def __init__(self, api, namespace, version_of, name="probe"):
        self._api, self._namespace, self._version_of, self._name = api, namespace, version_of, name
        self._writes = 0

    def write_to_row(self, seconds=60):
        """Seconds from a write's answer until the row says so."""
        self._writes += 1
        answer = self._api.call(
            "PATCH", f"/api/v1/namespaces/{self._namespace}/configmaps/{self._name}?fieldManager=probe&force=true",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._name}, "data": {"n": str(self._writes)}},
            content_type="application/apply-patch+yaml")
        version = int(answer["metadata"]["resourceVersion"])
        begun = time.monotonic()
        wait_for(f"the row of write {self._writes}",
                 lambda: (self._version_of("configmaps", self._namespace, self._name) or 0) >= version, seconds, pause=0.001)
        return time.monotonic() - begun

    def longest_gap(self, seconds):
        """Writes one after the other for that long: the longest wait for a row in seconds, and how many writes there were."""
        worst, before, until = 0.0, self._writes, time.monotonic() + seconds
        while time.monotonic() < until:
            worst = max(worst, self.write_to_row())
        return worst, self._writes - before
