"""Secret values stay home: seen from the wire, by a tap that decodes every message on its own."""
import base64
import json

import pytest

from e2e.conftest import Setup
from e2e.support import verdict
from e2e.support.tap import Tap, traces
from e2e.support.system import wait_for

CANARIES = ["canary-7f3a9c1e-first-value", "canary-0b5d2f77-second-value", "canary-c94e8a10-third-value"]
PLAIN = "canary-51dd2c0e-not-a-secret"
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
    """Everything that leaves the agent or is kept by the endpoint: (what, bytes)."""
    with verdict.open_database(setup.database) as connection:
        rows = {kind: {key: row.body for key, row in rows.items()}
                for kind, rows in verdict.stored_rows(connection, "prod")[0].items()}
        yield "rows", repr(rows).encode()
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield f"table {table}", repr(connection.execute(f"SELECT * FROM {table}").fetchall()).encode()
    for file in setup.database.parent.iterdir():
        yield file.name, file.read_bytes()
    yield "endpoint log", setup.endpoint.process.log.read_bytes()
    yield "agent log", setup.agents[0].process.log.read_bytes()
    yield "agent metrics", setup.agents[0].metrics().encode()
    for path in ("/metrics", "/v1/objects?account=prod&kind=secret&body=true", "/v1/accounts", "/v1/freshness?account=prod"):
        yield path, setup.endpoint.get(path, raw=True).encode()
    yield "events", json.dumps(api.list_all("/api/v1/events")).encode()
    yield "decoded messages", setup.tap.everything()
    yield "decoded bodies", repr([json.loads(body) for *_, body in setup.tap.upserts()]).encode()


def assert_nowhere(setup, api, canaries):
    for what, content in places(setup, api):
        for canary in canaries:
            for trace in traces(canary):
                assert trace not in content, f"{canary} is in {what}"
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


def test_the_tap_reads_what_the_rows_say(tapped, api, namespace):
    api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "c"}, "data": {"plain": PLAIN}})
    wait_for("a ConfigMap passes", lambda: any((ns, name) == (namespace, "c") for _, ns, name, _ in tapped.tap.upserts()))
    verdict.wait_until_equal(tapped.database, "prod", api)
    with pytest.raises(AssertionError, match="is in"):  # the search finds what is there
        assert_nowhere(tapped, api, [PLAIN])
