"""What live benchmarks run on: a real API server with pods, a real PostgreSQL that syncs to disk, an endpoint, an agent."""
import contextlib
import http.client
import re

from bench.live import seed
from e2e.support import system, verdict
from e2e.support.api import Api
from e2e.support.system import wait_for

ACCOUNT, IDENTITY = "prod", "agent-1"
SCOPE = {"kinds": ["pod"]}
_ENDPOINT_PORT, _AGENT_PORT = seed.PORT + 10, seed.PORT + 30


class Rig:
    """The API server. Everything is a process of this one's and ends by close()."""

    def __init__(self, directory, options, say):
        self.directory, self.options, self.say = directory, options, say
        self._close = contextlib.ExitStack()
        self._made = 0
        self.plane = seed.plane(directory / "plane", options.pods, say)
        self._close.callback(self.plane.down)
        self.api = Api(self.plane.kubeconfig)

    def close(self):
        self._close.close()

    @property
    def server_pids(self):
        """{name: process id}"""
        return {name: int((self.plane.directory / f"{name}.pid").read_text()) for name in ("apiserver", "etcd")}

    def raw_pages(self, path, page=500):
        """The bytes of each page of a list as the server sends it, over one connection; nothing is decoded but the token."""
        connection, token = http.client.HTTPSConnection(self.api.host, context=self.api.context, timeout=60), ""
        with contextlib.closing(connection):
            while token is not None:
                connection.request("GET", f"{path}?limit={page}&continue={token}")
                body = connection.getresponse().read()
                yield body
                found = re.search(rb'"continue":"([^"]*)"', body[:2000])
                token = found.group(1).decode() if found else None

    @contextlib.contextmanager
    def ours(self, **more):
        """Ours, with nothing in its database yet."""
        self._made += 1
        made = Ours(self.directory / f"ours-{self._made}", self.plane, **more)
        try:
            yield made
        finally:
            made.close()


class Ours:
    """A database, an endpoint on it and, once start_agent() was called, an agent of the one account."""

    def __init__(self, directory, plane, kubeconfig=None):
        self.directory, self.plane, self.agent = directory, plane, None
        self._kubeconfig = kubeconfig or plane.agent_kubeconfig
        directory.mkdir()
        self._close = contextlib.ExitStack()
        try:
            self.database = system.DatabaseServer("postgresql")
            self._close.callback(self.database.close)
            self.endpoint = system.Endpoint(directory / "endpoint", _ENDPOINT_PORT, database_url=self.database.url)
            self._close.callback(self.endpoint.kill)
            self.endpoint.put_account(ACCOUNT, IDENTITY, SCOPE)
        except BaseException:
            self.close()
            raise

    def close(self):
        self._close.close()

    def start_agent(self, address=None, kubeconfig=None):
        """It is not waited for."""
        self.agent = system.Agent(self.directory / "agent", self.endpoint, IDENTITY, ACCOUNT, kubeconfig or self._kubeconfig, _AGENT_PORT, address)
        self._close.callback(self.agent.kill)

    def watch(self):
        """What the endpoint says of the pods; None: nothing yet."""
        watches = self.endpoint.get(f"/v1/accounts/{ACCOUNT}/freshness")["watches"]
        return watches[0] if watches else None

    def wait_synced(self, seconds=120):
        """Until the first list is committed."""
        wait_for("the first list is committed", lambda: (self.watch() or {}).get("resourceVersion"), seconds, pause=0.02)

    def verdict(self, api, seconds=60, at_least=1):
        """How many objects were compared; whoever runs a benchmark has no result when this raises."""
        return verdict.wait_until_equal(self.database.url, ACCOUNT, api, seconds, at_least)
