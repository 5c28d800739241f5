"""B5: how long after its answer a write is a row that another session reads, beside a bare commit in the same database."""
import random
import time

from bench.live import meter, writes
from e2e.support import verdict

RATES = (5, 50, 150)
GOAL_P50, GOAL_P99 = 0.004, 0.025


def bare_commits(url, rate, seconds):
    """Seconds that each of so many commits of one row took: as large as ours, durable as the endpoint has it."""
    connection = verdict.open_database(url).connection
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit TO local")
    cursor.execute("CREATE TABLE IF NOT EXISTS bare (id INT PRIMARY KEY, body BYTEA NOT NULL)")
    took, chance, due = [], random.Random(rate), time.monotonic()
    until = due + seconds
    while due < until:
        due += chance.expovariate(rate)
        time.sleep(max(0.0, due - time.monotonic()))
        body, begun = chance.randbytes(1500), time.monotonic()
        cursor.execute("INSERT INTO bare VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET body = excluded.body", (len(took) % 1000, body))
        took.append(time.monotonic() - begun)
    connection.close()
    return took


def run(rig):
    lines, seconds = [], rig.options.seconds
    with rig.ours() as ours:
        ours.start_agent()
        ours.wait_synced()
        time.sleep(2)
        for rate in RATES:
            bare = bare_commits(ours.database.url, rate, seconds / 2)
            with writes.Follower(ours.database.url) as follower:
                written = writes.write(rig.plane.kubeconfig, rig.options.pods, rate, seconds, rate)
                time.sleep(1)
            found = writes.delays(written, follower.rows)
            p50, p99 = meter.percentile(found, 50), meter.percentile(found, 99)
            goals = f"goals 4 and 25: {meter.met(p50 <= GOAL_P50)}, {meter.met(p99 <= GOAL_P99)}"
            lines.append(f"B5 freshness at {rate}/s: {len(found)} writes, answer to row p50/p99/max {meter.latencies(found)} ms; "
                         f"bare commit {meter.latencies(bare)} ms; {goals}; a look every {1000 * follower.pause:.1f} ms, sent late by {1000 * max(one.late for one in written):.0f} ms at most")
            rig.say(lines[-1])
        compared = ours.verdict(rig.api, at_least=rig.options.pods)
        lines.append(f"B5 ledger: 0 lost, 0 twice, 0 backwards; verdict: {compared} objects equal")
    return lines
