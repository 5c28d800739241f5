"""Starts and kills what a test runs: a control plane, an endpoint, agents. Everything ends by process id."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

from e2e.support import verdict

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FAIRLEAD_BIN", ROOT / "build/dev/bin"))
CACHE = pathlib.Path(os.environ.get("FAIRLEAD_CACHE", pathlib.Path.home() / ".cache/fairlead"))
# For kubectl and helm. A user's cluster is never touched: what KUBECONFIG or Helm's variables name is not seen by them.
ENV = {name: value for name, value in os.environ.items() if name != "KUBECONFIG" and not name.startswith("HELM_")}
ENV["PATH"] = f"{CACHE}/k8sbin:{CACHE}/bin:{ENV['PATH']}"


class Request(NamedTuple):
    """A line of an API server's audit log."""
    user: str
    verb: str
    resource: str
    uri: str
    code: int

    @property
    def full_list(self):
        """A list that reads more than one object."""
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.uri).query)
        return self.verb == "list" and query.get("limit") != ["1"]


def read_audit(file, since=0):
    """The requests written after byte `since`."""
    with open(file, encoding="utf-8") as log:
        if since:  # a line may be there in part
            log.seek(since - 1)
            log.readline()
        lines = [json.loads(line) for line in log if line.endswith("\n")]
    return [Request(line["user"]["username"], line["verb"], line.get("objectRef", {}).get("resource", ""), line["requestURI"],
                    line.get("responseStatus", {}).get("code", 0)) for line in lines]


def wait_for(what, condition, seconds=20, pause=0.05):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds} s: {what}")
        time.sleep(pause)


def peak_memory(program):
    """Bytes, the most that an agent's or an endpoint's process had in memory so far."""
    status = pathlib.Path(f"/proc/{program.process.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) << 10


class ControlPlane:
    def __init__(self, directory, port, env=None, flags=""):
        self.directory, self.port, self.flags = pathlib.Path(directory), port, flags
        self._run("up", str(port), env=env)

    def _run(self, verb, *more, env=None):
        subprocess.run([ROOT / "tools/cluster/loopback", verb, self.directory, *more], check=True,
                       env=dict(env or os.environ, APISERVER_FLAGS=self.flags))

    @property
    def kubeconfig(self):
        return self.directory / "kubeconfig"

    @property
    def agent_kubeconfig(self):
        return self.directory / "agent.kubeconfig"

    def restart(self):
        self._run("stop")
        time.sleep(1)
        self._run("start")

    def pause(self):
        os.kill(self._pid(), signal.SIGSTOP)

    def go_on(self):
        os.kill(self._pid(), signal.SIGCONT)

    def _pid(self):
        """Of the API server."""
        return int((self.directory / "apiserver.pid").read_text())

    def compact(self):
        """etcd forgets every version but the newest of each object."""
        def ask(path, body):
            url = f"http://127.0.0.1:{self.port + 1}/v3/kv/{path}"
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10) as answer:
                return json.load(answer)
        newest = ask("range", {"key": "AA=="})["header"]["revision"]
        ask("compaction", {"revision": newest, "physical": True})

    def back_up(self):
        """etcd's files as they are now; all is stopped for it."""
        self._run("down")
        shutil.rmtree(self.directory / "backup", ignore_errors=True)
        shutil.copytree(self.directory / "etcd", self.directory / "backup")
        self._run("up", str(self.port))

    def restore(self):
        """As it was when it was backed up, its versions included."""
        self._run("down")
        shutil.rmtree(self.directory / "etcd")
        shutil.copytree(self.directory / "backup", self.directory / "etcd")
        self._run("up", str(self.port))

    def down(self):
        self._run("down")

    def audit_size(self):
        return (self.directory / "audit.log").stat().st_size

    def audit(self, since=0):
        """The agents' requests written after byte `since`."""
        return [one for one in read_audit(self.directory / "audit.log", since) if one.user == "fairlead-agent"]


class Process:
    def __init__(self, command, log, env=None):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def text(self):
        return self.log.read_text(encoding="utf-8")


class DatabaseServer:
    """A database server of our own. `engine`: postgresql or mariadb; it runs as that engine's user, in a folder it may enter."""

    def __init__(self, engine):
        self.engine = engine
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-database-"))
        self.directory.chmod(0o755)
        self.process = None
        self.start()
        with contextlib.closing(self.connect(self._url("postgres" if engine == "postgresql" else "mysql"))) as connection:
            connection.execute("CREATE DATABASE fairlead")

    def _url(self, database):
        if self.engine == "postgresql":
            return f"postgresql:///{database}?user=postgres&host={self.directory}"
        return f"mariadb://root@/{database}?socket={self.directory}/mariadb.sock"

    @property
    def url(self):
        return self._url("fairlead")

    def url_of_user(self, name):
        """A user of that name, who may do everything, is made."""
        ddl = {"postgresql": [f"CREATE ROLE {name} SUPERUSER LOGIN"],
               "mariadb": [f"CREATE USER {name}@localhost", f"GRANT ALL ON *.* TO {name}@localhost"]}
        with contextlib.closing(self.connect(self.url)) as connection:
            for statement in ddl[self.engine]:
                connection.execute(statement)
        return self.url.replace("user=postgres", f"user={name}").replace("//root@", f"//{name}@")

    @staticmethod
    def connect(url):
        return verdict.open_database(url)

    def start(self):
        def launch():
            self.process = Process([ROOT / "tools/database/serve", self.engine, self.directory], self.directory / "log")
        launch()

        def answers():
            # A child of the one that was killed may be the last to go.
            if self.process.process.poll() is not None and any("pre-existing shared memory" in line for line in
                                                               self.process.text().splitlines()[-3:]):
                launch()
            try:
                self.connect(self._url("postgres" if self.engine == "postgresql" else "mysql")).close()
                return True
            except Exception:  # pylint: disable=broad-exception-caught  # of two libraries
                assert self.process.process.poll() is None, self.process.text()
                return False
        wait_for(f"{self.engine} answers", answers, 60)

    def _family(self):
        """The server's processes, the first is the parent of the others."""
        family = [self.process.process.pid]
        for pid in family:
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
            if children.exists():
                family += [int(child) for child in children.read_text().split()]
        return family

    def _signal(self, number):
        for pid in self._family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        self._signal(signal.SIGKILL)
        self.process.process.wait()
        (self.directory / "data/postmaster.pid").unlink(missing_ok=True)

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def back_up(self):
        """Its files as they are now; it is stopped for it."""
        self.kill()
        shutil.rmtree(self.directory / "backup", ignore_errors=True)
        subprocess.run(["cp", "-a", self.directory / "data", self.directory / "backup"], check=True)
        self.start()

    def restore(self):
        """As it was when it was backed up."""
        self.kill()
        shutil.rmtree(self.directory / "data")
        subprocess.run(["cp", "-a", self.directory / "backup", self.directory / "data"], check=True)
        (self.directory / "data/postmaster.pid").unlink(missing_ok=True)
        self.start()

    def pause(self):
        self._signal(signal.SIGSTOP)

    def go_on(self):
        self._signal(signal.SIGCONT)


class Endpoint:
    """`plaintext`: both listeners without TLS, which the product allows on loopback only. `database_url`: "" = SQLite.
    `first`: another of these, of which this one is a replica. `more`: lines of configuration, which replicas take over."""

    def __init__(self, directory, port, plaintext=False, database_url="", first=None, env=None, more=""):
        self.directory, self.env = pathlib.Path(directory), env
        self.rest, self.agents, self.plaintext = port, port + 1, plaintext
        out = subprocess.run([BIN / "fairlead-endpoint", "init", "--dir", self.directory, "--ip", "127.0.0.1"],
                             check=True, capture_output=True, text=True, env=env).stdout
        self.token = re.search(r"once: (\w+)", out).group(1)
        config = self.directory / "endpoint.yaml"
        if first:
            self._take_identity(first)
        text = config.read_text().replace("0.0.0.0:9443", f"127.0.0.1:{self.agents}").replace("0.0.0.0:8443", f"127.0.0.1:{self.rest}")
        if database_url:
            text = re.sub("(?m)^(dataDir|database):.*$", f'database: {{url: "{database_url}"}}', text)
        config.write_text(text + "allowPlaintextLoopback: true\n" * plaintext + more)
        self.database = database_url or self.directory / "data/fairlead.db"
        self.tls = ssl.create_default_context(cafile=self.directory / "ca.crt")
        self.process = None
        self.start()

    def _take_identity(self, first):
        """Certificates and tokens are the deployment's, not the replica's."""
        for file in first.directory.glob("*"):
            if file.suffix in (".crt", ".key"):
                shutil.copy(file, self.directory)
        (self.directory / "endpoint.yaml").write_text((first.directory / "endpoint.yaml").read_text()
                                                      .replace(str(first.directory), str(self.directory))
                                                      .replace(f"127.0.0.1:{first.agents}", "0.0.0.0:9443")
                                                      .replace(f"127.0.0.1:{first.rest}", "0.0.0.0:8443"))
        self.token = first.token

    def start(self):
        self.process = Process([BIN / "fairlead-endpoint", "serve", "--config", self.directory / "endpoint.yaml"],
                               self.directory / "endpoint.log", self.env)
        wait_for("the endpoint is ready", self.ready)

    def ready(self):
        try:
            return self.call("GET", "/readyz", raw=True) == (200, "ok\n")
        except OSError:
            return False

    def kill(self):
        self.process.kill()

    def call(self, method, path, body=None, raw=False, token=None):
        """(status, answer)"""
        scheme = "http" if self.plaintext else "https"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{self.rest}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {token or self.token}"})
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=10) as response:
                text, status = response.read().decode(), response.status
        except urllib.error.HTTPError as error:
            text, status = error.read().decode(), error.code
        return status, text if raw else json.loads(text)

    def get(self, path, raw=False):
        status, answer = self.call("GET", path, raw=raw)
        assert status == 200, (status, answer)
        return answer

    def metric(self, name):
        for line in self.get("/metrics", raw=True).splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def put_account(self, name, identity, scope, access=None, **more):
        """`more` goes into the spec as it is."""
        status, answer = self.call("PUT", f"/v1/accounts/{name}", {
            "spec": {"identities": [identity], "access": access or {"level": "Cluster"}, "scope": scope} | more})
        assert status == 200, answer
        return answer

    def enrolment_token(self, identity):
        status, answer = self.call("POST", "/v1/enrolment-tokens", {"identity": identity})
        assert status == 200, answer
        return answer["token"]

    def account(self, name):
        return self.get(f"/v1/accounts/{name}")


class Agent:
    """`account`: one name, or {name: kubeconfig} for several, which `kubeconfig` is for otherwise.
    `address`: where it dials, when that is not the endpoint's own port; several with commas. `more`: lines of configuration."""

    def __init__(self, directory, endpoint, identity, account, kubeconfig, port, address=None, env=None, more=""):
        self.directory, self.env = pathlib.Path(directory), env
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port
        (self.directory / "token").write_text(endpoint.enrolment_token(identity))
        accounts = account if isinstance(account, dict) else {account: kubeconfig}
        listed = ", ".join(f"{{name: {name}, connection: {{kubeconfigFile: {path}}}}}" for name, path in accounts.items())
        (self.directory / "agent.yaml").write_text(f"""
endpoints: [{address or f'127.0.0.1:{endpoint.agents}'}]
allowPlaintextLoopback: {str(endpoint.plaintext).lower()}
serverName: 127.0.0.1
trustBundleFile: {endpoint.directory}/ca.crt
identity: {{name: {identity}, dir: {self.directory}/identity, tokenFile: {self.directory}/token}}
accounts: [{listed}]
health: {{address: "127.0.0.1:{port}"}}
{more}""")
        self.process = None
        self.start()

    def start(self):
        self.process = Process([BIN / "fairlead-agent", "--config", self.directory / "agent.yaml"], self.directory / "agent.log", self.env)

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop()

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as response:
            return response.read().decode()

    def ready(self):
        """(status, text) of its readiness."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        """None while the agent does not answer or does not have it yet."""
        try:
            found = re.search(rf"^{re.escape(name)} (\S+)$", self.metrics(), re.MULTILINE)
        except OSError:
            return None
        return float(found.group(1)) if found else None
