"""kubectl through the gateway and a real agent does what it does directly."""
import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from e2e.conftest import Setup
from e2e.support.system import peak_memory, read_audit, wait_for


class Clients:
    """The same command sent directly and through the gateway, with separate discovery caches."""

    def __init__(self, made, plane):
        self.made, self.direct_config = made, plane.kubeconfig
        status, answer = made.endpoint.call("POST", "/v1/accounts/prod/tokens", {"name": "kubectl"})
        assert status == 200, answer
        self.token = answer["token"]
        self.server = f"https://127.0.0.1:{made.endpoint.rest}/clusters/prod"
        self.through_config = made.directory / "through.kubeconfig"
        self.through_config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "prod",
            "clusters": [{"name": "prod", "cluster": {"server": self.server,
                                                      "certificate-authority": str(made.endpoint.directory / "ca.crt")}}],
            "users": [{"name": "prod", "user": {"token": self.token}}],
            "contexts": [{"name": "prod", "context": {"cluster": "prod", "user": "prod"}}]}))

    def _run(self, config, arguments, text):
        home = self.made.directory / f"home-{config.stem}"
        home.mkdir(exist_ok=True)
        done = subprocess.run(["kubectl", "--kubeconfig", config, *arguments], input=text, capture_output=True, text=True, timeout=60,
                              check=False, env=os.environ | {"HOME": str(home)})
        return done.returncode, done.stdout, done.stderr

    def through(self, *arguments, text=None):
        return self._run(self.through_config, arguments, text)

    def direct(self, *arguments, text=None):
        return self._run(self.direct_config, arguments, text)

    def request(self, method, path, headers=None, body=None, token=None):
        """(status, headers, body) of one request to the gateway, as it is."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.made.endpoint.rest, context=self.made.endpoint.tls, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": f"Bearer {token or self.token}"} | (headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()


@pytest.fixture(scope="module")
def clients(work, plane):
    made = Setup(work, plane, "gateway")
    try:
        made.add_agent(kubeconfig=plane.kubeconfig)  # with every right
        made.wait_settled()
        yield Clients(made, plane)
    finally:
        made.close()


def config_map(name, value):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": value}})


READS = [("get", "namespaces", "-o", "name"), ("get", "namespaces", "-o", "json"), ("get", "configmaps", "-A", "-o", "name"), ("api-resources", "--no-headers"),
         ("api-versions",), ("get", "namespace", "default", "-o", "yaml"), ("explain", "deployment.spec"), ("auth", "can-i", "--list"),
         ("get", "widgets", "-A", "-o", "name"), ("get", "configmap", "there-is-none"), ("get", "things-unknown"),
         ("get", "events", "--field-selector", "involvedObject.name=web,involvedObject.kind=Deployment")]


@pytest.mark.parametrize("arguments", READS, ids=" ".join)
def test_what_is_read_is_what_is_read_directly(clients, arguments):
    code, out, err = clients.through(*arguments)
    wanted = clients.direct(*arguments)
    assert (code, out.split(), err) == (wanted[0], wanted[1].split(), wanted[2])


def test_objects_live_through_the_gateway(clients, namespace):
    in_namespace = ("-n", namespace)
    steps = [(("create", "-f", "-"), config_map("one", "1")), (("apply", "-f", "-"), config_map("two", "1")),
             (("apply", "-f", "-"), config_map("two", "2")), (("apply", "--server-side=true", "--force-conflicts=true", "-f", "-"), config_map("two", "3")),
             (("replace", "-f", "-"), config_map("one", "2")),
             (("patch", "configmap", "one", "--type", "merge", "--patch", '{"data":{"w":"3"}}'), None),
             (("label", "configmap", "one", "x=y"), None),
             (("create", "deployment", "web", "--image=registry.example/web:1"), None), (("scale", "deployment/web", "--replicas=3"), None),
             (("rollout", "restart", "deployment/web"), None), (("rollout", "pause", "deployment/web"), None),
             (("rollout", "resume", "deployment/web"), None), (("set", "image", "deployment/web", "web=registry.example/web:2"), None)]
    for arguments, text in steps:
        code, out, err = clients.through(*in_namespace, *arguments, text=text)
        assert code == 0, (arguments, out, err)
    read = json.loads(clients.direct(*in_namespace, "get", "configmaps,deployments", "-o", "json")[1])["items"]
    found = {one["metadata"]["name"]: one for one in read}
    assert found["one"]["data"] == {"v": "2", "w": "3"} and found["one"]["metadata"]["labels"] == {"x": "y"}
    assert found["two"]["data"] == {"v": "3"}
    assert found["web"]["spec"]["replicas"] == 3 and found["web"]["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/web:2"
    code, out, err = clients.through(*in_namespace, "delete", "configmap/one", "deployment/web", "--ignore-not-found=true", "--cascade=background")
    assert code == 0, (out, err)
    left = clients.direct(*in_namespace, "get", "configmaps,deployments", "-o", "name")[1].split()
    assert left == ["configmap/two"]


def test_a_manifest_that_is_refused_is_refused_with_the_same_words(clients, namespace):
    bad = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bad"}, "spec": {"replicas": "many"}})
    assert clients.through("-n", namespace, "apply", "-f", "-", text=bad) == clients.direct("-n", namespace, "apply", "-f", "-", text=bad)


def test_a_watch_tells_what_happens_while_it_happens(clients, api, namespace):
    home = clients.made.directory / "home-watch"
    home.mkdir()
    with subprocess.Popen(["kubectl", "--kubeconfig", clients.through_config, "-n", namespace, "get", "configmaps", "-w", "-o", "name"],
                          stdout=subprocess.PIPE, text=True, env=os.environ | {"HOME": str(home)}) as watch:
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(watch.stdout.readline, "")), daemon=True).start()
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        for number in range(3):
            api.call("POST", path, {"metadata": {"name": f"seen-{number}"}})
            wait_for("it is told", lambda name=f"configmap/seen-{number}\n": name in lines, 10)
        watch.kill()


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_goes_ends_the_request_in_the_cluster(clients, plane, namespace, says_so):
    """Go's TLS says that it goes, before it does."""
    path, mark = f"/api/v1/namespaces/{namespace}/secrets?watch=true", plane.audit_size()
    sent = f"GET /clusters/prod{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {clients.token}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", clients.made.endpoint.rest)) as raw:
        client = clients.made.endpoint.tls.wrap_socket(raw, server_hostname="127.0.0.1")
        client.sendall(sent.encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        if says_so:
            client.settimeout(0.2)
            with contextlib.suppress(OSError):
                client.unwrap()
        client.close()
    wait_for("the API server has seen its end", lambda: any(path in one.uri for one in read_audit(plane.directory / "audit.log", mark)), 10)


def test_a_large_answer_comes_whole_and_a_slow_reader_is_waited_for(clients, api, namespace):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for number in range(40):
        api.call("POST", path, {"metadata": {"name": f"large-{number:02}"}, "data": {"v": f"{number:02}" * 250_000}})
    wanted = json.dumps(api.call("GET", path))
    status, _, body = clients.request("GET", "/clusters/prod" + path)
    assert status == 200 and json.dumps(json.loads(body)) == wanted
    assert len(body) > 20_000_000
    endpoint, agent = peak_memory(clients.made.endpoint), peak_memory(clients.made.agents[0])
    connection = http.client.HTTPSConnection("127.0.0.1", clients.made.endpoint.rest, context=clients.made.endpoint.tls, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/clusters/prod" + path, headers={"Authorization": f"Bearer {clients.token}"})
        answer = connection.getresponse()
        time.sleep(2)  # whoever would take it all in has done so
        assert len(answer.read()) == len(body)
    grown = [peak_memory(one) - was for one, was in ((clients.made.endpoint, endpoint), (clients.made.agents[0], agent))]
    assert max(grown) < 8_000_000, grown


REFUSED = [("/clusters/prod/api/v1/namespaces/default/pods/web/exec?command=sh", 403), ("/clusters/prod/api/v1/nodes/n/proxy/metrics", 403),
           ("/clusters/prod/api/v1/namespaces/default/serviceaccounts/default/token", 403), ("/clusters/prod/api/../../v1/accounts", 400),
           ("/clusters/prod/api/%2e%2e/x", 400), ("/clusters/prod/api/v1%2fpods", 400), ("/clusters/prod/metrics", 404), ("/clusters/prod", 404),
           ("/clusters/pr%2fod/api", 400), ("/clusters/other/api", 401), ("/clusters/prod//api", 400)]


@pytest.mark.parametrize("path, wanted", REFUSED)
def test_what_is_no_request_of_the_api_is_refused(clients, path, wanted):
    status, _, body = clients.request("GET", path)
    assert status == wanted, body
    assert json.loads(body)["kind"] == "Status" and json.loads(body)["code"] == wanted


@pytest.mark.parametrize("headers, wanted", [({"Impersonate-User": "admin"}, 403), ({"Upgrade": "SPDY/3.1", "Connection": "Upgrade"}, 403),
                                             ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Basic eDp5"}, 401)])
def test_what_a_client_may_not_ask_for(clients, headers, wanted):
    assert clients.request("GET", "/clusters/prod/api", headers)[0] == wanted


def test_tokens_are_of_one_account_and_end(clients):
    endpoint = clients.made.endpoint
    endpoint.put_account("second", "agent-2", {})
    second = endpoint.call("POST", "/v1/accounts/second/tokens", {"name": "x"})[1]["token"]
    assert clients.request("GET", "/clusters/prod/api", token=second)[0] == 401
    assert clients.request("GET", "/clusters/second/api", token=clients.token)[0] == 401
    assert clients.request("GET", "/clusters/second/api", token=second)[0] == 503, "no agent of it is connected"
    short = endpoint.call("POST", "/v1/accounts/prod/tokens", {"name": "short", "lifetimeSeconds": 1})[1]["token"]
    assert clients.request("GET", "/clusters/prod/version", token=short)[0] == 200
    extra = endpoint.call("POST", "/v1/accounts/prod/tokens", {"name": "extra"})[1]["token"]
    assert endpoint.call("POST", "/v1/accounts/prod/tokens", {"name": "extra"})[0] == 409
    assert clients.request("GET", "/clusters/prod/version", token=extra)[0] == 200
    assert [one["name"] for one in endpoint.get("/v1/accounts/prod/tokens")["tokens"]] == ["extra", "kubectl", "short"]
    assert endpoint.call("DELETE", "/v1/accounts/prod/tokens/extra") == (200, {"revoked": "extra"})
    assert endpoint.call("DELETE", "/v1/accounts/prod/tokens/extra")[0] == 404
    assert clients.request("GET", "/clusters/prod/version", token=extra)[0] == 401
    wait_for("its second is over", lambda: clients.request("GET", "/clusters/prod/version", token=short)[0] == 401, 5)


def test_without_an_agent_kubectl_says_so_at_once(clients):
    agent = clients.made.agents[0]
    agent.kill()
    try:
        begun = time.monotonic()
        code, _, err = clients.through("get", "namespaces")
        assert code == 1 and "Error from server (ServiceUnavailable): no agent of the account is connected" in err
        assert time.monotonic() - begun < 5
    finally:
        agent.start()
        clients.made.wait_settled()
    wait_for("the account is served again", lambda: clients.through("get", "namespaces")[0] == 0)
