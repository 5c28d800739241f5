"""B6: how long after a restart the rows are provably the cluster's again, and what that costs.

Proof: a pod is written right after the start, and changes of a kind are committed in their order, so once that write is a row
everything before it is one, too. (After a 410 a list runs beside the changes: then it is the position that the endpoint shows, which
passes what was changed at the end of the list.) The verdict compares all of it after each restart, outside the time.
"""
import concurrent.futures
import time

from bench.live import meter, seed
from e2e.support import verdict
from e2e.support.system import BIN, Process, wait_for

SHARES = (0, 0.01, 0.2)
GOAL_SECONDS, GOAL_CPU = 1.0, 0.3
_MARKER = 0  # number of the pod that is the marker


class _Victims:
    """What is killed and started again."""

    def __init__(self, ours, names):
        self._ours, self._names = ours, names

    def kill(self):
        if "endpoint" in self._names:
            self._ours.endpoint.kill()
        if "agent" in self._names:
            self._ours.agent.kill()

    def start(self):
        """Nothing is waited for."""
        if "endpoint" in self._names:
            endpoint = self._ours.endpoint
            endpoint.process = Process([BIN / "fairlead-endpoint", "serve", "--config", endpoint.directory / "endpoint.yaml"],
                                       endpoint.directory / "endpoint.log")
        if "agent" in self._names:
            self._ours.agent.start()


def _write(api, number, why):
    """The version that the pod has then."""
    answer = api.call("PATCH", f"{seed.PATH}/{seed.name_of(number)}", {"metadata": {"annotations": {f"live/{why}": str(time.monotonic_ns())}}},
                      "application/merge-patch+json")
    return int(answer["metadata"]["resourceVersion"])


def _change(api, first, count):
    """Writes so many pods from number `first` on, once each; the newest version of them."""
    def one(number):
        return _write(api, number, "restart")
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        return max(threads.map(one, range(first, first + count)), default=0)


def _agent_cpu(ours, before=0.0):
    return meter.cpu(ours.agent.process.process.pid) - before


class _Rows:
    def __init__(self, url):
        self._connection = verdict.open_database(url)

    def ask(self, query, *values):
        return self._connection.execute(query, values).fetchone()[0]

    def newest_seq(self):
        return self.ask("SELECT max(seq) FROM objects")

    def marker(self):
        return int(self.ask("SELECT resource_version FROM objects WHERE name = ?", seed.name_of(_MARKER)))

    def written_after(self, seq):
        return self.ask("SELECT count(*) FROM objects WHERE seq > ?", seq)


def _restart(rig, ours, names, share, forced_410=False):
    """One line of the table."""
    victims, rows, changed = _Victims(ours, names), _Rows(ours.database.url), round(rig.options.pods * share)
    time.sleep(1.5)
    victims.kill()
    seq = rows.newest_seq()
    newest = _change(rig.api, _MARKER + 1, changed)
    if forced_410:
        rig.plane.compact()
        rig.plane.restart()
        rig.api.call("GET", "/version")  # connects anew
    audit = rig.plane.audit_size()
    used = 0.0 if "agent" in names else _agent_cpu(ours)
    begun = time.monotonic()
    victims.start()
    version = _write(rig.api, _MARKER, "marker")
    wait_for("the marker's row", lambda: rows.marker() >= version, 120, pause=0.002)
    if forced_410:
        wait_for("the end of the list", lambda: int(ours.watch()["resourceVersion"]) >= newest, 120, pause=0.005)
    seconds, used = time.monotonic() - begun, _agent_cpu(ours, used)
    time.sleep(1)
    rewritten = rows.written_after(seq) - 1
    lists = [one for one in rig.plane.audit(since=audit) if one.full_list]
    wait_for("the endpoint is ready", ours.endpoint.ready)
    ours.verdict(rig.api, at_least=rig.options.pods)
    name = f"B6 {'410, ' if forced_410 else ''}{' and '.join(names)} killed, {100 * share:g} % changed"
    line = f"{name}: in sync after {seconds:.2f} s, agent {used:.2f} CPU-s, {rewritten} rows written for {changed} changed, {len(lists)} list requests"
    if share == 0:
        line += f"; goal < 1 s, < 0.3 CPU-s, 0 rows, 0 lists: {meter.met(seconds < GOAL_SECONDS and used < GOAL_CPU and not rewritten and not lists)}"
    rig.say(line)
    return line


def run(rig):
    lines = []
    with rig.ours() as ours:
        ours.start_agent()
        ours.wait_synced()
        for names in (["agent"], ["endpoint"], ["agent", "endpoint"]):
            lines += [_restart(rig, ours, names, share) for share in SHARES]
        lines.append(_restart(rig, ours, ["agent"], 0.01, forced_410=True))
    return lines + ["B6 verdict: equal after each restart"]
