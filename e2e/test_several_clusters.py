"""Random edits on several clusters of one agent and its standby, while agents, the endpoint and an API server die: within half
a minute of the last every row is what its cluster has."""
import contextlib

import pytest

from e2e.conftest import Setup
from e2e.support import many, system, verdict
from e2e.support.api import Api
from e2e.support.plane import SCOPE, prepare
from e2e.support.storm import Storm
from e2e.support.system import wait_for

DEADLINE = 30


@pytest.fixture(scope="module", name="clusters")
def three_clusters(work, plane):
    """{account: its API server}"""
    with contextlib.ExitStack() as stack:
        made = {"first": plane}
        for number, name in enumerate(("second", "third")):
            made[name] = system.ControlPlane(work / name, 21200 + 100 * number)
            stack.callback(made[name].down)
            prepare(Api(made[name].kubeconfig))
        yield made


def test_random_edits_on_several_clusters(work, plane, clusters):
    apis = {name: Api(one.kubeconfig) for name, one in clusters.items()}
    kubeconfigs = {name: one.agent_kubeconfig for name, one in clusters.items()}
    made = Setup(work, plane, "several")
    try:
        for name in clusters:
            made.endpoint.put_account(name, "agent-1", SCOPE)
            apis[name].call("POST", "/api/v1/namespaces", {"metadata": {"name": "edits"}})
        for number in range(2):
            made.agents.append(system.Agent(made.directory / f"both-{number}", made.endpoint, "agent-1", kubeconfigs, None, made.port + 2 + number))
        many.wait_synced(made.endpoint, clusters)
        storms = [Storm(api, "edits", writes=10**6, rate=60, threads=2, seed=100 + number).start() for number, api in enumerate(apis.values())]
        try:
            for strike in range(2):
                serving = max(made.agents, key=lambda agent: agent.metric("fairlead_agent_accounts_granted") or 0)
                serving.kill()
                wait_for("the other serves all", lambda: many.synced(made.endpoint, clusters) == 3, 40)
                serving.start()
                made.endpoint.kill()
                made.endpoint.start()
                if strike == 0:
                    clusters["second"].restart()
                many.wait_synced(made.endpoint, clusters, 60)
        finally:
            for storm in storms:
                storm.stop()
        for name, api in apis.items():
            compared = verdict.wait_until_equal(made.database, name, api, seconds=DEADLINE, at_least=50)
            print(f"{name}: {compared} objects equal")
        print(f"{[storm.answered for storm in storms]} writes")
    finally:
        made.close()
