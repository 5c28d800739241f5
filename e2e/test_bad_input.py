"""Bad input ends in a counted, logged state from which things come right without a restart, unless it says otherwise.

Elsewhere: unknown configuration keys in test_configuration, invalid resources in test_operator, a spent token in
test_cache; each refusal of the JSON readers in unit/lib/json, of the wire's decoder in unit/lib/wire.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.spoiler import Spoiler
from e2e.support.storm import noise
from e2e.support.system import wait_for
from e2e.test_cache import row


@pytest.fixture(scope="module", name="spoiled")
def spoiled_setup(work, plane, api):
    """An agent that sees its API server through the spoiler."""
    made = Setup(work, plane, "spoiled")
    made.spoiler = Spoiler(api, made.port + 9, made.directory)
    made.add_agent(kubeconfig=made.spoiler.kubeconfig)
    try:
        made.wait_settled()
        yield made
    finally:
        made.close()
        made.spoiler.stop()


def configmaps(namespace):
    return f"/api/v1/namespaces/{namespace}/configmaps"


def rows_written(setup):
    """How many rows were ever written, every row that can be seen now included: a row is seen from its commit on and counted
    just after that, before the writer's thread takes its next task, which reading the account is."""
    setup.endpoint.account("prod")
    return setup.endpoint.metric("fairlead_store_rows_written_total")


def test_an_object_of_1_4_megabytes_becomes_a_row(spoiled, api, namespace):
    api.call("POST", f"/apis/example.com/v1/namespaces/{namespace}/widgets",
             {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "large"}, "spec": {"noise": noise(1_050_000)}})
    # As large as a ConfigMap may be, of characters that need an escape each.
    api.call("POST", configmaps(namespace), {"metadata": {"name": "large"}, "data": {"text": '"' * (1 << 20)}})
    wait_for("the rows", lambda: row(spoiled, "widgets", namespace, "large") and row(spoiled, "configmaps", namespace, "large"))
    verdict.wait_until_equal(spoiled.database, "prod", api)


def test_an_object_beyond_the_limit_is_counted_named_and_left_out_until_it_shrinks(spoiled, api, namespace):
    before = spoiled.agents[0].metric("fairlead_agent_oversize")
    # A megabyte in the server's store, six in its JSON: it writes \\u003c for each.
    api.call("POST", configmaps(namespace), {"metadata": {"name": "huge"}, "data": {"text": "<" * (1 << 20)}})
    api.call("POST", configmaps(namespace), {"metadata": {"name": "next"}})
    wait_for("the next object is a row", lambda: row(spoiled, "configmaps", namespace, "next"))
    wait_for("it is counted, once", lambda: spoiled.agents[0].metric("fairlead_agent_oversize") == before + 1)
    assert "beyond the limit" in spoiled.agents[0].process.text()
    assert row(spoiled, "configmaps", namespace, "huge") is None
    api.call("PUT", configmaps(namespace) + "/huge", {"metadata": {"name": "huge"}, "data": {"text": "small"}})
    verdict.wait_until_equal(spoiled.database, "prod", api)


def test_invalid_utf8_is_counted_and_left_out_until_the_next_change(spoiled, api, namespace):
    before = spoiled.agents[0].metric("fairlead_agent_invalid")
    spoiled.spoiler.line = lambda target, text: text.replace(b"POISON", b"\xff\xfe")
    api.call("POST", configmaps(namespace), {"metadata": {"name": "bad"}, "data": {"text": "POISON"}})
    api.call("POST", configmaps(namespace), {"metadata": {"name": "next"}})
    wait_for("the next object is a row", lambda: row(spoiled, "configmaps", namespace, "next"))
    wait_for("it is counted, once", lambda: spoiled.agents[0].metric("fairlead_agent_invalid") == before + 1)
    assert "watch event left out" in spoiled.agents[0].process.text()
    assert row(spoiled, "configmaps", namespace, "bad") is None
    api.call("PATCH", configmaps(namespace) + "/bad", {"data": {"text": "fine"}}, content_type="application/merge-patch+json")
    verdict.wait_until_equal(spoiled.database, "prod", api)


def test_a_watch_that_ends_inside_a_frame_goes_on_where_it_was(spoiled, api, namespace):
    cut = []

    def once(target, text):
        if b"CUTHERE" in text and not cut:
            cut.append(target)
            return text[:text.index(b"CUTHERE")]
        return text
    verdict.wait_until_equal(spoiled.database, "prod", api)
    spoiled.spoiler.line = once
    written = rows_written(spoiled)
    lists = spoiled.agents[0].metric("fairlead_agent_list_pages")
    api.call("POST", configmaps(namespace), {"metadata": {"name": "cut"}, "data": {"text": "CUTHERE"}})
    wait_for("the row, from the watch after", lambda: row(spoiled, "configmaps", namespace, "cut"))
    assert cut
    verdict.wait_until_equal(spoiled.database, "prod", api)
    assert spoiled.agents[0].metric("fairlead_agent_list_pages") == lists
    assert rows_written(spoiled) == written + 1


def test_a_certificate_of_another_ca_opens_no_session_and_the_right_one_does(spoiled):
    agent = system.Agent(spoiled.directory / "stranger", spoiled.endpoint, "agent-1", "prod", spoiled.plane.agent_kubeconfig, spoiled.port + 8)
    try:
        wait_for("a standby", lambda: agent.metric("fairlead_agent_connected") == 1)
        agent.kill()
        identity = agent.directory / "identity"
        shutil.copytree(identity, agent.directory / "kept")
        # The same name in a certificate that another authority signed.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=agent-1", "-addext", "subjectAltName=URI:spiffe://fairlead/agent/agent-1",
                        "-keyout", identity / "tls.key", "-out", identity / "tls.crt"], check=True, capture_output=True)
        before = agent.process.text().count("session opened")
        agent.start()
        wait_for("the refusal is logged", lambda: agent.process.text().count("session lost") >= 2)
        assert agent.process.text().count("session opened") == before
        wait_for("the agent says that it has no session", lambda: agent.metric("fairlead_agent_connected") == 0)
        wait_for("the endpoint says why", lambda: "certificate verify failed" in spoiled.endpoint.process.text())
        wait_for("the endpoint counts no standby", lambda: spoiled.endpoint.account("prod")["status"]["standbys"] == 0)
        agent.kill()
        for file in identity.iterdir():
            shutil.copy(agent.directory / "kept" / file.name, file)
        agent.start()
        wait_for("a standby again", lambda: spoiled.endpoint.account("prod")["status"]["standbys"] == 1)
    finally:
        agent.kill()


def test_a_wrong_address_is_left_for_the_next_one(spoiled):
    wrong = f"127.0.0.1:{spoiled.port + 7}"  # nobody listens there
    agent = system.Agent(spoiled.directory / "lost", spoiled.endpoint, "agent-1", "prod", spoiled.plane.agent_kubeconfig,
                         spoiled.port + 8, address=wrong)
    try:
        wait_for("the failure names the reason", lambda: re.search("not enrolled.*(Connection refused|connect)", agent.process.text()))
        wait_for("it says that it has no session", lambda: agent.metric("fairlead_agent_connected") == 0)
        assert agent.ready() == (503, "no session with an endpoint\n")
        agent.kill()
        config = agent.directory / "agent.yaml"
        config.write_text(config.read_text().replace(f"[{wrong}]", f"[{wrong}, 127.0.0.1:{spoiled.endpoint.agents}]"))
        agent.start()
        wait_for("the second address is taken", lambda: agent.metric("fairlead_agent_connected") == 1)
        assert agent.ready() == (200, "ok\n")
    finally:
        agent.kill()


@pytest.fixture(name="small_disk")
def setup_on_a_small_disk(work, plane):
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: a file system of its own for the database needs root to mount")
    disk = work / "full" / "endpoint" / "data"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", disk], check=True)
    made = None
    try:
        made = Setup(work, plane, "full")
        made.add_agent()
        made.wait_settled()
        yield made
    finally:
        if made:
            made.close()
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_said_and_counted_and_left_behind_without_a_restart(small_disk, api, namespace):
    endpoint = small_disk.endpoint
    failures = endpoint.metric("fairlead_store_transaction_failures_total")
    filler = pathlib.Path(small_disk.database).parent / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 4096)
        except OSError:
            pass
    # Noise, so that compression does not make it fit into what the write-ahead log still holds.
    for number in range(60):
        api.call("POST", configmaps(namespace), {"metadata": {"name": f"n{number}"}, "data": {"noise": noise(200_000)}})
    wait_for("readiness says so", lambda: endpoint.call("GET", "/readyz", raw=True)[0] == 503, 30)
    assert re.search("store: .*full", endpoint.call("GET", "/readyz", raw=True)[1])
    wait_for("it is counted", lambda: endpoint.metric("fairlead_store_transaction_failures_total") > failures)
    wait_for("it is logged", lambda: "transaction failed, it will be tried again" in endpoint.process.text())
    for number in range(60):
        api.call("DELETE", f"{configmaps(namespace)}/n{number}")
    filler.unlink()
    wait_for("readiness is back", endpoint.ready, 60)
    verdict.wait_until_equal(small_disk.database, "prod", api, seconds=60)
