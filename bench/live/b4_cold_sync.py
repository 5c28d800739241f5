"""B4: from the start of the agent to the last row of the first list, beside the two legs that nobody can go without: reading the
list, and writing the rows. Then the same from the replay server, whose lists cost next to nothing."""
import contextlib
import json
import subprocess
import time

from bench.live import meter
from bench.live.rig import ACCOUNT
from e2e.support import verdict
from e2e.support.system import BIN

PODS, REPLAYED = 30_000, 100_000
PAGE = 500  # as the agent's
GOAL_TIMES, GOAL_SECONDS = 1.5, 6
REPLAY_GOAL_SECONDS = 10


def _bare_list(rig):
    begun = time.monotonic()
    for _ in rig.raw_pages("/api/v1/pods", PAGE):
        pass
    return time.monotonic() - begun


def _bare_copy(url):
    """Seconds to COPY rows and bodies as ours are into a table with the same columns and indexes, in one transaction."""
    connection = verdict.open_database(url).connection
    cursor = connection.cursor()
    with cursor.copy("COPY objects TO STDOUT (FORMAT BINARY)") as out:
        rows = b"".join(bytes(piece) for piece in out)
    cursor.execute("DROP TABLE IF EXISTS bare")
    cursor.execute("CREATE TABLE bare (LIKE objects INCLUDING ALL)")
    cursor.execute("CHECKPOINT")
    begun = time.monotonic()
    with cursor.copy("COPY bare FROM STDIN (FORMAT BINARY)") as into:
        for at in range(0, len(rows), 1 << 16):
            into.write(rows[at:at + (1 << 16)])
    seconds = time.monotonic() - begun
    connection.close()
    return seconds


def _sync(ours, servers, pods):
    """Seconds from the start of the agent's process until the list is committed, and CPU seconds by process."""
    def used():
        seconds = {name: meter.cpu(pid) for name, pid in (servers | {"endpoint": ours.endpoint.process.process.pid}).items()}
        return seconds | {"database": meter.cpu_of_family(ours.database.process.process.pid)}
    before, begun = used(), time.monotonic()
    ours.start_agent()
    ours.wait_synced()
    seconds = time.monotonic() - begun
    spent = {name: value - before[name] for name, value in used().items()} | {"agent": meter.cpu(ours.agent.process.process.pid)}
    connection = verdict.open_database(ours.database.url)
    count = connection.execute("SELECT count(*) FROM objects").fetchone()[0]
    connection.close()
    assert count == pods, f"{count} rows for {pods} pods"
    return seconds, spent


def _line(name, pods, synced, listed, copied, goal_seconds):
    slower = max(meter.median(listed), meter.median(copied))
    wall = meter.median(synced)
    return (f"{name}: {pods} objects in {meter.spread(synced, 's', 2)}; bare list {meter.spread(listed, 's', 2)}, bare COPY "
            f"{meter.spread(copied, 's', 2)}; {wall / slower:.2f} times the slower, goal {GOAL_TIMES}: {meter.met(wall <= GOAL_TIMES * slower)}; "
            f"goal {goal_seconds} s: {meter.met(wall <= goal_seconds)}")


def _told(used):
    return "CPU-s " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in used.items())


def _live(rig):
    synced, listed, copied, compared = [], [], [], 0
    _bare_list(rig)  # so that nobody is the first
    for number in range(rig.options.rounds):
        if number % 2 == 0:
            listed.append(_bare_list(rig))
        with rig.ours() as ours:
            seconds, used = _sync(ours, rig.server_pids, rig.options.pods)
            synced.append(seconds)
            copied.append(_bare_copy(ours.database.url))
            rig.say(f"B4 live: {seconds:.2f} s; {_told(used)}; bare list {listed[-1]:.2f} s, bare COPY {copied[-1]:.2f} s")
            if number + 1 == rig.options.rounds:
                compared = ours.verdict(rig.api, at_least=rig.options.pods)
        if number % 2:
            listed.append(_bare_list(rig))
    return [_line("B4 live", rig.options.pods, synced, listed, copied, GOAL_SECONDS),
            f"B4 live: {_told(used)} in the last round; verdict: {compared} objects equal"]


class _Replay:
    """bench-replay with its pods, and curl against it: it speaks HTTP/2 only."""

    def __init__(self, directory, pods):
        directory.mkdir()
        self.directory, self._pods = directory, pods
        self.process = subprocess.Popen([BIN / "bench-replay", str(pods), directory], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()

    def pages(self, into=subprocess.DEVNULL):
        """curl that reads every page over one connection; a page's token is the number of its first object."""
        urls = [f"https://127.0.0.1:{self.port}/api/v1/pods?limit={PAGE}&continue={first}" for first in range(0, self._pods, PAGE)]
        config = "".join(f'url = "{url}"\n' for url in urls)
        curl = subprocess.Popen(["curl", "-sS", "--http2", "--cacert", self.directory / "ca.crt", "--cert", self.directory / "identity/tls.crt",
                                 "--key", self.directory / "identity/tls.key", "-w", "\n", "-K", "-"], stdin=subprocess.PIPE, stdout=into, text=False)
        curl.stdin.write(config.encode())
        curl.stdin.close()
        return curl

    def bare_list(self):
        begun = time.monotonic()
        assert self.pages().wait() == 0
        return time.monotonic() - begun

    def differences(self, url):
        """Every row against every item, by the verdict's own comparison: what differs, and how many were compared."""
        connection = verdict.open_database(url)
        rows = verdict.stored_rows(connection, ACCOUNT)[0].get(("", "pods"), {})
        connection.close()
        found, compared, curl = [], 0, self.pages(subprocess.PIPE)
        for line in curl.stdout:
            for item in json.loads(line)["items"] if line.strip() else ():
                row = rows.get((item["metadata"]["namespace"], item["metadata"]["name"]))
                wrong = "no row" if row is None else verdict.compare_object(row, item, False)
                compared += 1
                if wrong:
                    found.append(f"{item['metadata']['name']}: {wrong}")
        assert curl.wait() == 0
        return found + ["other rows"] * (len(rows) != compared), compared


def _replayed(rig):
    with contextlib.closing(_Replay(rig.directory / "replay", REPLAYED)) as replay:
        servers = {"replay server": replay.process.pid}
        listed, synced, copied = [replay.bare_list()], [], []
        with rig.ours(kubeconfig=replay.directory / "kubeconfig") as ours:
            seconds, used = _sync(ours, servers, REPLAYED)
            synced.append(seconds)
            copied.append(_bare_copy(ours.database.url))
            listed.append(replay.bare_list())
            found, compared = replay.differences(ours.database.url)
            assert not found and compared == REPLAYED, (compared, found[:5])
    return [_line("B4 replay", REPLAYED, synced, listed, copied, REPLAY_GOAL_SECONDS),
            f"B4 replay: {_told(used)}; verdict: {compared} objects equal"]


def run(rig):
    lines = _live(rig)
    if not (BIN / "bench-replay").exists():
        return lines + ["B4 replay: SKIPPED: bench-replay is not built"]
    return lines + _replayed(rig)
