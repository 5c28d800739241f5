"""The operator's process by itself: what it says while there is no API server."""
import socket
import urllib.error
import urllib.request

from e2e.support.system import BIN, Process, wait_for

HEALTH = 23980
CONFIG = f"""
kubeconfig: kubeconfig
watchNamespaces: [fairlead]
health: {{address: "127.0.0.1:{HEALTH}"}}
leaderElection: {{namespace: fairlead}}
certificates: {{namespace: fairlead, dnsNames: [endpoint]}}
agentImage: {{repository: agent, tag: "1"}}
endpoints: [{{name: default, dnsName: endpoint, agentAddresses: ["10.0.0.1:9443"], api: "https://10.0.0.1:8443"}}]
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
"""


def get(path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{HEALTH}{path}", timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_it_is_alive_and_not_ready_while_the_api_server_does_not_answer(work):
    directory = work / "operator-process"
    directory.mkdir()
    with socket.socket() as silent:  # takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        (directory / "kubeconfig").write_text(KUBECONFIG.format(port=silent.getsockname()[1]))
        (directory / "operator.yaml").write_text(CONFIG.replace("kubeconfig: kubeconfig", f"kubeconfig: {directory}/kubeconfig"))
        process = Process([BIN / "fairlead-operator", "--config", directory / "operator.yaml"], directory / "log")
        try:
            wait_for("it is alive", lambda: get("/healthz") == 200, 20)
            assert get("/readyz") == 503
            assert get("/metrics") == 200
            assert process.process.poll() is None
            assert process.stop() == 0
        finally:
            process.kill()
