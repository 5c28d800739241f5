"""One connection stays fair: over long and slow lines, while everything of a kind is synced, what is small does not wait behind it."""
import base64
import concurrent.futures
import contextlib
import os
import re
import time

import pytest

from e2e.conftest import Setup
from e2e.support import link, verdict
from e2e.support.system import wait_for

pytestmark = pytest.mark.skipif(bool(link.missing()), reason=f"no link of its own: {link.missing()}")
ALLOWED_MS = 100  # that bulk may add to a round trip on Control
BUCKETS = re.compile(r'^fairlead_agent_control_round_trip_seconds_bucket\{le="([^"]+)"\} (\d+)$', re.MULTILINE)


class Line:
    """An agent whose way to the endpoint is a link, and a standby without one."""

    def __init__(self, work, plane, name, rate_mbit, round_trip_ms):
        self.setup = Setup(work, plane, name)
        self.setup.endpoint.put_account("prod", "agent-1", {"kinds": ["deployment"]})
        self.rate, self.round_trip_ms = rate_mbit * 125_000, round_trip_ms
        self.link = link.Link(rate_mbit, round_trip_ms, self.setup.endpoint.agents)
        self.agent = self.setup.add_agent(address=self.link.address)
        wait_for("the agent on the link serves", lambda: self.agent.metric("fairlead_agent_accounts_granted") == 1)
        self.standby = self.setup.add_agent()
        wait_for("a standby is there", lambda: self.setup.endpoint.account("prod")["status"]["standbys"] == 1)

    def holder(self):
        return self.setup.endpoint.account("prod")["status"]["instance"], self.agent.metric("fairlead_agent_sessions")

    def round_trips(self):
        """How many beats took up to so many seconds, and not less than the bound before."""
        counts = {float(bound): int(count) for bound, count in BUCKETS.findall(self.agent.metrics())}
        steps, before = {}, 0
        for bound in sorted(counts):
            steps[bound], before = counts[bound] - before, counts[bound]
        return steps

    def round_trips_since(self, before):
        return {bound: count - before.get(bound, 0) for bound, count in self.round_trips().items() if count > before.get(bound, 0)}

    def close(self):
        self.setup.close()
        self.link.close()


def fill(api, namespace, count, size):
    """Config maps that do not compress."""
    def make(number):
        data = base64.b64encode(os.urandom(size * 3 // 4)).decode()
        api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": f"c-{number}"}, "data": {"of": data}})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


@pytest.mark.parametrize("rate_mbit, round_trip_ms, count, size", [(100, 50, 1500, 20_000), (1, 150, 100, 20_000), (1, 150, 3, 700_000)],
                         ids=["100-mbit-50-ms", "1-mbit-150-ms", "objects-of-seconds"])
def test_control_stays_quick_while_everything_is_synced(work, plane, api, namespace, request, rate_mbit, round_trip_ms, count, size):
    fill(api, namespace, count, size)
    line = Line(work, plane, f"line-{request.node.callspec.id}", rate_mbit, round_trip_ms)
    try:
        time.sleep(3)
        idle = line.round_trips_since({})
        listed = line.agent.metric("fairlead_agent_list_items") or 0
        line.setup.endpoint.put_account("prod", "agent-1", {"kinds": ["deployment", "configMap"], "namespaces": [namespace]},
                                        {"level": "Namespaces", "namespaces": [namespace]})
        wait_for("the kind is being synced", lambda: (line.agent.metric("fairlead_agent_list_items") or 0) > listed and line.holder()[0])
        begun, before, holder = time.monotonic(), line.round_trips(), line.holder()
        wait_for("every row is there", lambda: rows(line, namespace) >= count, 10 + 3 * count * size / line.rate, pause=0.1)
        seconds = time.monotonic() - begun
        busy = line.round_trips_since(before)
        assert line.holder() == holder, "a failover that nothing asked for"
        size_sent = count * size * 3 // 4
        plain = line.link.transfer(size_sent)
        print(f"\n{rate_mbit} Mbit/s, {round_trip_ms} ms: {size_sent / 1e6:.1f} MB in {seconds:.2f} s, one plain transfer {plain:.2f} s, "
              f"beats {busy}, idle {idle}, window {line.agent.metric('fairlead_agent_window_bytes'):.0f} bytes")
        # A loss probe of TCP that was not needed costs a round trip once in a while.
        late = sum(count for bound, count in busy.items() if bound > max(idle) + ALLOWED_MS / 1000 + 0.001)
        assert late <= sum(busy.values()) // 10 and max(busy) <= max(idle) + 0.5, (idle, busy)
        assert plain / seconds >= 0.8
    finally:
        line.close()


def rows(line, namespace):
    with contextlib.closing(verdict.open_database(line.setup.database)) as connection:
        query = "SELECT count(*) FROM account_objects WHERE namespace = ? AND resource = 'configmaps'"
        return connection.execute(query, (namespace,)).fetchone()[0]
