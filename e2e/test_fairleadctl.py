"""fairleadctl against a real endpoint, agent and API server."""
import json
import subprocess

from e2e.support.system import BIN, wait_for


def rows_of(ctl, *arguments):
    code, text, errors = ctl("objects", "--account", "prod", *arguments, "-o", "json")
    assert code == 0, errors
    return json.loads(text)["objects"]


def test_objects_follows_every_page_and_stops_at_the_limit(ctl, api, namespace):
    for i in range(510):
        api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": f"c-{i}"}, "data": {"n": str(i)}})
    wanted = {item["metadata"]["uid"]: item["data"] for item in api.list_all(f"/api/v1/namespaces/{namespace}/configmaps")}
    found = wait_for("every row is there", lambda: (
        lambda rows: rows if len(rows) == len(wanted) else None)(rows_of(ctl, "-k", "configmap", "-n", namespace)))
    assert {row["uid"] for row in found} == set(wanted)
    assert len(rows_of(ctl, "-k", "configMaps", "-n", namespace, "--limit", "505")) == 505
    bodies = rows_of(ctl, "-k", "ConfigMap", "-g", "", "-n", namespace, "--limit", "45", "--body")
    assert len(bodies) == 45
    assert all(row["body"]["data"] == wanted[row["uid"]] for row in bodies)
    code, text, _ = ctl("objects", "-k", "configmap", "-n", namespace, "--name", "c-7")
    assert code == 0 and text.splitlines()[1].split()[:4] == ["prod", namespace, "ConfigMap", "c-7"]


def test_what_is_not_there_is_named_with_the_nearest(ctl):
    code, _, errors = ctl("accounts", "prdo")
    assert code == 1 and 'did you mean "prod"?' in errors
    code, _, errors = ctl("objects", "--acount", "prod")
    assert code == 2 and "did you mean --account?" in errors


def test_status_says_whether_all_is_well(ctl, setup):
    code, text, errors = ctl("status")
    assert code == 0, text + errors
    assert "all is well" in text
    setup.agents[0].kill()
    code, text, _ = wait_for("the endpoint knows", lambda: (lambda got: got if got[0] == 1 else None)(ctl("status", "-o", "json")))
    report = json.loads(text)
    assert not report["healthy"] and "no agent is connected" in report["problems"][0]
    setup.agents[0].start()
    wait_for("all is well again", lambda: ctl("status")[0] == 0, 30)


def test_a_watch_goes_on_across_a_restart_of_the_endpoint(ctl, setup):
    watch = subprocess.Popen([BIN / "fairleadctl", "accounts", "-w", "-o", "json", "--config", ctl.config],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert json.loads(watch.stdout.readline())["name"] == "prod"
        setup.endpoint.kill()
        setup.endpoint.start()
        setup.endpoint.put_account("second", "agent-2", {})
        for line in watch.stdout:
            if json.loads(line)["name"] == "second":
                break
        else:
            raise AssertionError("the watch ended")
    finally:
        watch.kill()
        watch.wait()
