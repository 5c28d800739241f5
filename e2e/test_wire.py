"""Secret values stay home: seen from the wire, by a tap that decodes every message on its own."""
import base64
import json
import re

import pytest

from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.storm import Storm
from e2e.support.tap import Tap, traces
from e2e.support.system import wait_for

CANARIES = ["canary-7f3a9c1e-first-value", "canary-0b5d2f77-second-value", "canary-c94e8a10-third-value"]
# May be anywhere: in the clear, and as bytes of which the base64 is a name that Kubernetes and the endpoint take.
PLAIN = "canary-51dd2c0e-not-a-secret"
ENCODED = base64.b64decode("canary0b64but0not0secret")
SECRETS = ("", "secrets")


@pytest.fixture(scope="module", name="tapped")
def tapped_setup(work, plane):
    made = Setup(work, plane, "wire", plaintext=True)
    made.tap = Tap(made.port + 9, f"127.0.0.1:{made.endpoint.agents}", made.directory)
    made.add_agent(address=f"127.0.0.1:{made.port + 9}")
    try:
        made.wait_settled()
        yield made
    finally:
        made.close()
        made.tap.stop()


def last_applied(canary):
    encoded = base64.b64encode(canary.encode()).decode()
    return {verdict.LAST_APPLIED: json.dumps({"data": {"p": encoded}, "stringData": {"q": canary}})}


def places(setup, api):
    """Everything that leaves the agent or is kept by the endpoint: {what: bytes}."""
    found = {}
    with verdict.open_database(setup.database) as connection:
        rows = {kind: {key: row.body for key, row in rows.items()}
                for kind, rows in verdict.stored_rows(connection, "prod")[0].items()}
        found["rows"] = repr(rows).encode()
        tables = [name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
        found["tables"] = "\n".join(repr(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables).encode()
    found["database files"] = b"\n".join(file.read_bytes() for file in setup.database.parent.iterdir())
    found["endpoint log"] = setup.endpoint.process.log.read_bytes()
    found["agent logs"] = b"\n".join(file.read_bytes() for file in setup.directory.glob("*/agent.log"))
    found["agent metrics"] = setup.agents[0].metrics().encode()
    for path in ("/metrics", "/v1/objects?account=prod&kind=secret&body=true", "/v1/accounts", "/v1/accounts/prod/freshness"):
        found[path] = setup.endpoint.get(path, raw=True).encode()
    found["events"] = json.dumps(api.list_all("/api/v1/events")).encode()
    found["decoded messages"] = setup.tap.everything()
    found["decoded bodies"] = repr([json.loads(body) for *_, body in setup.tap.upserts()]).encode()
    return found


def holders(found, canary):
    """The places that hold the canary, in whatever form."""
    return {what for what, content in found.items() if any(trace in content for trace in traces(canary))}


def assert_nowhere(setup, api, canaries):
    found = places(setup, api)
    for canary in canaries:
        assert holders(found, canary) == set(), f"{canary} is somewhere"
    assert setup.tap.undecoded == 0


def seen(setup, namespace, name, step):
    """The tap saw this state of the Secret itself: without it, "nowhere" would prove nothing."""
    return any(kind == SECRETS and (ns, found) == (namespace, name) and
               json.loads(body)["metadata"].get("labels", {}).get("step") == step
               for kind, ns, found, body in setup.tap.upserts())


def test_a_secrets_value_passes_no_wire_and_stays_nowhere(tapped, api, namespace):
    path = f"/api/v1/namespaces/{namespace}/secrets"

    def write(method, where, canary, step):
        api.call(method, where, {"metadata": {"name": "s", "labels": {"step": step}, "annotations": last_applied(canary)},
                                 "stringData": {"p": canary}},
                 content_type="application/json" if method == "POST" else "application/merge-patch+json")

    write("POST", path, CANARIES[0], "created")
    wait_for("the Secret passes the tap", lambda: seen(tapped, namespace, "s", "created"))
    assert_nowhere(tapped, api, CANARIES)
    write("PATCH", path + "/s", CANARIES[1], "updated")
    wait_for("its update passes the tap", lambda: seen(tapped, namespace, "s", "updated"))
    assert_nowhere(tapped, api, CANARIES)
    tapped.agents[0].kill()
    write("PATCH", path + "/s", CANARIES[2], "while-away")
    tapped.agents[0].start()
    wait_for("what changed meanwhile passes the tap", lambda: seen(tapped, namespace, "s", "while-away"))
    verdict.wait_until_equal(tapped.database, "prod", api)
    assert_nowhere(tapped, api, CANARIES)


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("after", range(3))
def test_a_canary_is_found_in_every_form(before, after):
    text = b"x" * before + CANARIES[0].encode() + b"y" * after
    for form in (text, text.hex().encode(), base64.b64encode(text)):
        assert holders({"here": b'{"a": "' + form + b'"}', "there": b"{}"}, CANARIES[0]) == {"here"}, form


def plant(setup, api, namespace, word):
    """Puts `word` wherever the text of a user may go: names of a Secret, an account and an agent, and an Event's note."""
    api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": word}})
    api.call("POST", f"/api/v1/namespaces/{namespace}/events", {
        "metadata": {"name": "e-" + word}, "involvedObject": {"namespace": namespace}, "message": word})
    setup.endpoint.put_account(word, word, {"kinds": ["namespace"]})
    agent = system.Agent(setup.directory / f"agent-{word}", setup.endpoint, word, word, setup.plane.agent_kubeconfig,
                         setup.port + 8, f"127.0.0.1:{setup.port + 9}")
    try:
        wait_for("its account is granted", lambda: agent.metric("fairlead_agent_accounts_granted") == 1)
    finally:
        agent.kill()


def watch_of(freshness, resource):
    return next(watch for watch in json.loads(freshness)["watches"] if watch["resource"] == resource)


def metric_of(text, name):
    return float(re.search(rf"^{name} (\S+)$".encode(), text, re.MULTILINE).group(1))


def test_the_search_reads_every_place(tapped, api, namespace):
    before = places(tapped, api)
    assert holders(before, PLAIN) == holders(before, ENCODED) == set()
    plant(tapped, api, namespace, PLAIN)
    plant(tapped, api, namespace, base64.b64encode(ENCODED).decode())
    verdict.wait_until_equal(tapped.database, "prod", api)
    tapped.endpoint.account("prod")  # behind the writer's last transaction, which is counted by now
    found = places(tapped, api)
    assert found.keys() == before.keys()
    numbers = {"agent metrics", "/metrics", "/v1/accounts/prod/freshness"}
    assert holders(found, PLAIN) == found.keys() - numbers
    assert holders(found, ENCODED) == found.keys() - numbers
    # No user's text can be brought there; that they are read is seen by the numbers.
    for what, name in (("agent metrics", "fairlead_agent_changes"), ("/metrics", "fairlead_store_rows_written_total")):
        assert metric_of(found[what], name) >= metric_of(before[what], name) + 2, what
    count = [watch_of(content["/v1/accounts/prod/freshness"], "secrets")["count"] for content in (before, found)]
    assert count[1] == count[0] + 2
    assert tapped.tap.undecoded == 0


def test_every_batch_is_sent_once_and_acknowledged_in_order(tapped, api, namespace):
    """While many objects change their status at once; nothing was ever sent for a second time by a timer."""
    verdict.wait_until_equal(tapped.database, "prod", api)
    tapped.tap.clear()
    storm = Storm(api, namespace, writes=1500, rate=500, seed=51).start().join()
    assert storm.failed == 0
    verdict.wait_until_equal(tapped.database, "prod", api)
    batches = [message.batch for rpc, way, message in tapped.tap.messages if (rpc, way) == ("Changes", "up") and message.HasField("batch")]
    acks = [message.ack for rpc, way, message in tapped.tap.messages if (rpc, way) == ("Changes", "down") and message.HasField("ack")]
    assert {one.term for one in batches} == {one.term for one in acks} and len({one.term for one in batches}) == 1
    sent = [one.seq for one in batches]
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    told = [one.seq for one in acks if one.seq >= sent[0]]
    assert told == sorted(set(told)), "no acknowledgement comes twice"
    assert told[-1] == sent[-1]
    print(f"{storm.answered} writes, {len(sent)} batches, {len(told)} acknowledgements")
