"""What a chaos run breaks: an API server with its etcd, a database, endpoints, two agents of one account, and the links between
them, each of which can be bad. Everything is a process of this one's and ends by process id."""
import contextlib
import glob
import os
import shutil
import subprocess

from e2e.chaos import journal
from e2e.chaos.relay import Loop, Relay
from e2e.support import system
from e2e.support.api import Api
from e2e.support.plane import SCOPE, prepare
from e2e.support.system import wait_for

PORT = 26000  # loopback, and 100 from there; a run in a network namespace of its own meets nobody
AGENTS, REPLICAS = 2, 2  # SQLite is for one endpoint
NAMESPACE = "chaos"
# Certificates are this old, in seconds, before the first fault: a clock that jumps back finds them valid, and one that jumps
# forward does not find them due for renewal. (They live for a day, and are renewed after two thirds of it.)
WHEN_CERTIFIED = 8 * 3600
# The least that may be configured: a fault of a second fills credit and pending, so that batches wait, changes are coalesced
# and watches stop, and what is caught up with is more than one batch.
ENDPOINT_LIMITS = "limits: {shardCreditBytes: 65536, queueBytes: 1048576}\n"
AGENT_LIMITS = "limits: {pendingBytes: 1048576}\n"
ACCOUNT, IDENTITY = "prod", "agent-1"


class WallClock:
    """A program's wall clock, moved by libfaketime while the program runs; its monotonic clock and this machine stay. It takes its
    price: gRPC's threads ask the moved clock for the time and wait by the machine's, so that they never wait."""
    library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

    def __init__(self, file):
        self._file = file
        self.jump(-WHEN_CERTIFIED)

    @property
    def environment(self):
        """None: the program's clock is the machine's."""
        if self.library is None:
            return None
        # Asked for again after a second. Shared memory would outlive a killed program.
        return os.environ | {"LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
                             "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}

    def jump(self, seconds):
        """Away from the machine's clock, by so many seconds."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._file)


class Loss:
    """Drops some of the packets to and from ports, both ways: real ones, in this network namespace."""

    def __init__(self):
        self.problem = ""
        if os.environ.get("CHAOS_NAMESPACE") != "own":
            self.problem = "no network namespace of our own (root and unshare are needed)"
        elif shutil.which("nft") is None:
            self.problem = "nft is not installed"

    def begin(self, ports, percent):
        some = ", ".join(str(port) for port in ports)
        rules = "\n".join(f"add rule inet chaos input tcp {side} {{ {some} }} numgen random mod 100 < {percent} drop" for side in ("dport", "sport"))
        subprocess.run(["nft", "-f", "-"], check=True, text=True, input=(
            f"add table inet chaos\nadd chain inet chaos input {{ type filter hook input priority 0; }}\n{rules}\n"))

    def end(self):
        subprocess.run(["nft", "delete", "table", "inet", "chaos"], check=True)


class Node:
    """An agent or an endpoint: the process, its clock, and for agents the links."""

    def __init__(self, name, process, clock, to_endpoints=(), to_cluster=None):
        self.name, self.process, self.clock = name, process, clock
        self.to_endpoints, self.to_cluster = to_endpoints, to_cluster

    def kill(self):
        self.process.kill()

    def start(self):
        self.process.start()

    def stop(self):
        code = self._running.stop()
        assert code == 0, f"{self.name} ended with {code} after SIGTERM"

    def pause(self):
        self._running.pause()

    def go_on(self):
        self._running.go_on()

    def alive(self):
        return self._running.process.poll() is None

    @property
    def _running(self):
        return self.process.process


class Rig:
    def __init__(self, directory, engine):
        self.directory, self.engine = directory, engine
        self.endpoints, self.agents, self.relays = [], [], []
        self.plane = self.database = None
        self.loss = Loss()
        self._loop = Loop()
        self._close = contextlib.ExitStack()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self):
        self._close.close()

    def _start(self):
        # Its programs do not load libraries; bash and openssl do.
        self.plane = system.ControlPlane(self.directory / "plane", PORT, WallClock(self.directory / "plane.clock").environment)
        self._close.callback(self.plane.down)
        self.api = Api(self.plane.kubeconfig)
        prepare(self.api)
        self.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        if self.engine != "sqlite":
            self.database = system.DatabaseServer(self.engine)
            self._close.callback(self.database.close)
        self._add_endpoint()
        journal.install(self.engine, self.database_address)
        status, answer = self.endpoints[0].process.call("PUT", f"/v1/accounts/{ACCOUNT}", {"spec": {
            "identities": [IDENTITY], "access": {"level": "Cluster"}, "scope": SCOPE,
            # Rows that are held are no fault of the product, and no end that the verdict takes.
            "deletionProtection": {"maxPercent": 100, "maxCount": 100000}}})
        assert status == 200, answer
        for _ in range(1 if self.engine == "sqlite" else REPLICAS, 1, -1):
            self._add_endpoint()
        for _ in range(AGENTS):
            self._add_agent()
        wait_for("a primary and a standby", lambda: self.standbys() == AGENTS - 1, 60)
        for node in self.endpoints + self.agents:
            node.clock.jump(0)

    @property
    def database_address(self):
        """For readers: an SQLite file or a URL."""
        return self.database.url if self.database else self.endpoints[0].process.database

    def _add_endpoint(self):
        """One replica. Each is a database user of its own, so that the journal can tell who wrote."""
        number = len(self.endpoints)
        clock = WallClock(self.directory / f"endpoint-{number}.clock")
        url = self.database.url_of_user(f"replica{number}") if self.database else ""
        process = system.Endpoint(self.directory / f"endpoint-{number}", PORT + 10 + 2 * number, database_url=url, env=clock.environment,
                                  **({"first": self.endpoints[0].process} if number else {"more": ENDPOINT_LIMITS}))
        self._close.callback(process.kill)
        self.endpoints.append(Node(f"endpoint-{number}", process, clock))

    def _relay(self, target):
        relay = Relay(self._loop, PORT + 40 + len(self.relays), target)
        self.relays.append(relay)
        return relay

    def _add_agent(self):
        number = len(self.agents)
        directory = self.directory / f"agent-{number}"
        directory.mkdir()
        clock = WallClock(directory / "clock")
        links = [self._relay(endpoint.process.agents) for endpoint in self.endpoints]
        links = links[number % len(links):] + links[:number % len(links)]  # each begins with another one
        cluster = self._relay(self.plane.port)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(self.plane.agent_kubeconfig.read_text().replace(f":{self.plane.port}", f":{cluster.port}"))
        process = system.Agent(directory, self.endpoints[0].process, IDENTITY, ACCOUNT, kubeconfig, PORT + 30 + number,
                               ", ".join(f"127.0.0.1:{link.port}" for link in links), clock.environment, AGENT_LIMITS)
        self._close.callback(process.kill)
        self.agents.append(Node(f"agent-{number}", process, clock, links, cluster))

    def standbys(self):
        """How many agents stand ready behind a primary, if all endpoints know it; 0 also when there is none, or one to ask does
        not answer."""
        try:
            known = [endpoint.process.account(ACCOUNT)["status"] for endpoint in self.endpoints]
        except (OSError, AssertionError, ValueError):
            return 0
        return min(status["standbys"] if status.get("instance") else 0 for status in known)

    def primary(self):
        """The agent that says it serves the account; the first when none does."""
        serving = [agent for agent in self.agents if agent.process.metric("fairlead_agent_accounts_granted") == 1]
        return (serving or self.agents)[0]

    def standby(self):
        primary = self.primary()
        return next(agent for agent in self.agents if agent is not primary)

    def whole(self):
        """Everything is to run as it should; for the end."""
        for relay in self.relays:
            relay.heal()
