import contextlib
import itertools
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from e2e.support import system
from e2e.support.api import Api
from e2e.support.plane import SCOPE, prepare

_ports = itertools.count(23000, 10)


@pytest.fixture(scope="session")
def work():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-e2e."))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def plane(work):
    """One real API server for all tests, with a custom resource and read rights for the agent's user."""
    plane = system.ControlPlane(work / "plane", 21000)
    try:
        prepare(Api(plane.kubeconfig))
        yield plane
    finally:
        plane.down()


@pytest.fixture(scope="session")
def api(plane):
    return Api(plane.kubeconfig)


class Setup:
    """An endpoint and agents over one account; one for each test module. `more`: lines of the endpoint's configuration."""

    def __init__(self, work, plane, name, plaintext=False, database_url="", more=""):
        self.plane, self.name = plane, name
        self.directory = work / name
        self.port = next(_ports)
        self.endpoint = system.Endpoint(self.directory / "endpoint", self.port, plaintext, database_url, more=more)
        self.endpoint.put_account("prod", "agent-1", SCOPE)
        self.agents = []

    @property
    def database(self):
        return self.endpoint.database

    def add_agent(self, kubeconfig=None, address=None, more=""):
        number = len(self.agents)
        agent = system.Agent(self.directory / f"agent-{number}", self.endpoint, "agent-1", "prod",
                             kubeconfig or self.plane.agent_kubeconfig, self.port + 2 + number, address, more=more)
        self.agents.append(agent)
        return agent

    def settled(self):
        """Every watch of the scope has a finished snapshot."""
        answer = self.endpoint.get("/v1/accounts/prod/freshness")
        return len(answer["watches"]) >= 6 and all(watch["resourceVersion"] for watch in answer["watches"])

    def wait_settled(self):
        try:
            system.wait_for("every watch is in sync", self.settled, 30)
        except AssertionError as error:
            logs = self.endpoint.process.text()[-3000:] + self.agents[0].process.text()[-3000:]
            raise AssertionError(f"{error}\n{self.endpoint.get('/v1/accounts/prod/freshness')}\n{logs}") from None

    def close(self):
        for agent in self.agents:
            agent.kill()
        self.endpoint.kill()


@contextlib.contextmanager
def settled_setup(*arguments, **more):
    """A Setup with one agent, in sync."""
    made = Setup(*arguments, **more)
    made.add_agent()
    try:
        made.wait_settled()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def setup(work, plane, request):
    with settled_setup(work, plane, request.module.__name__.rsplit(".", 1)[-1]) as made:
        yield made


@pytest.fixture
def namespace(api, request):
    name = "t-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:40].strip("-") + f"-{time.time_ns() % 100000}"
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def server(request):
    """A database server of each engine that is one."""
    made = system.DatabaseServer(request.param)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def ctl(setup):
    """Runs fairleadctl with a configuration file; gives (exit code, stdout, stderr)."""
    (setup.directory / "ctl-token").write_text(setup.endpoint.token + "\n")
    config = setup.directory / "ctl.yaml"
    config.write_text(f"endpoint: https://127.0.0.1:{setup.endpoint.rest}\ncaFile: endpoint/ca.crt\ntokenFile: ctl-token\n")

    def run(*arguments):
        done = subprocess.run([system.BIN / "fairleadctl", *arguments, "--config", config], capture_output=True, text=True, timeout=60,
                              check=False)
        return done.returncode, done.stdout, done.stderr
    run.config = config
    return run
