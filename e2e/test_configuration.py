"""A wrong configuration file is refused before anything runs, by the path of the key and the nearest valid one."""
import subprocess

import pytest

from e2e.support.system import BIN

AGENT = """\
endpoints: ["127.0.0.1:9443"]
trustBundleFile: ca.crt
identity: {name: a, dir: d}
accounts: [{name: prod, connection: {kubeconfigFile: k}}]
limits: {pendingBytes: 2000000}
"""
ENDPOINT = """\
dataDir: data
allowPlaintextLoopback: true
agents: {address: "127.0.0.1:9443"}
rest: {address: "127.0.0.1:8443"}
tokens: []
"""
OPERATOR = """\
watchNamespaces: [fairlead]
leaderElection: {namespace: fairlead}
certificates: {namespace: fairlead}
agentImage: {repository: agent, tag: "1"}
endpoints: [{name: default, dnsName: e, agentAddresses: ["e:9443"], api: "https://e:8443"}]
"""
FILES = {"agent": AGENT, "endpoint": ENDPOINT, "operator": OPERATOR}
COMMANDS = {"agent": ["fairlead-agent", "--check"], "endpoint": ["fairlead-endpoint", "check", "--config"],
            "operator": ["fairlead-operator", "--check"]}


def check(program, tmp_path, text):
    file = tmp_path / f"{program}.yaml"
    file.write_text(text)
    name, *arguments = COMMANDS[program]
    done = subprocess.run([BIN / name, *arguments, file], capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("program", FILES)
def test_a_right_file_passes(program, tmp_path):
    assert check(program, tmp_path, FILES[program]) == (0, "")


@pytest.mark.parametrize("program, right, wrong, message", [
    ("agent", "endpoints:", "endpoint:", 'endpoint: unknown key; did you mean "endpoints"?'),
    ("agent", "kubeconfigFile", "kubeConfigFile", 'accounts[0].connection.kubeConfigFile: unknown key; did you mean "kubeconfigFile"?'),
    ("agent", "pendingBytes", "pendingByte", 'limits.pendingByte: unknown key; did you mean "pendingBytes"?'),
    ("endpoint", "dataDir", "datadir", 'datadir: unknown key; did you mean "dataDir"?'),
    ("endpoint", "agents: {address", "agents: {adress", 'agents.adress: unknown key; did you mean "address"?'),
    ("operator", "watchNamespaces", "watchNamespace", 'watchNamespace: unknown key; did you mean "watchNamespaces"?'),
    ("operator", "dnsName", "dnsname", 'endpoints[0].dnsname: unknown key; did you mean "dnsName"?'),
])
def test_an_unknown_key_is_named_with_the_nearest_valid_one(program, right, wrong, message, tmp_path):
    code, said = check(program, tmp_path, FILES[program].replace(right, wrong))
    assert code != 0
    assert message in said, said


@pytest.mark.parametrize("program, text, message", [
    ("agent", AGENT.replace("127.0.0.1:9443", "127.0.0.1"), 'endpoints: "127.0.0.1" is not host:port'),
    ("agent", AGENT.replace("trustBundleFile: ca.crt", 'allowPlaintextLoopback: true').replace("127.0.0.1:9443", "10.0.0.1:9443"),
     'allowPlaintextLoopback: is for loopback addresses only; "10.0.0.1:9443" is not one'),
    ("endpoint", ENDPOINT.replace("127.0.0.1:8443", "0.0.0.0:8443"), "allowPlaintextLoopback: is for loopback addresses only"),
    ("operator", OPERATOR.replace("https://e:8443", "http://e:8443"), "endpoints[0].api: must begin with https://"),
    ("agent", "endpoints: [", "agent.yaml: line 1"),
], ids=["no port", "plaintext to elsewhere", "plaintext from everywhere", "no TLS", "not YAML"])
def test_a_wrong_value_is_named(program, text, message, tmp_path):
    code, said = check(program, tmp_path, text)
    assert code != 0
    assert message in said, said
