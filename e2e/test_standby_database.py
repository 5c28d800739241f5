"""A PostgreSQL primary dies and takes commits with it that its standby never had; the standby is promoted."""
import contextlib

import pytest

from e2e.conftest import Setup
from e2e.support import system, verdict
from e2e.support.probe import Probe
from e2e.support.standby import Standby, either
from e2e.support.system import wait_for
from e2e.test_cache import full_lists, storming, version_of
from e2e.test_replicas import shard


@pytest.fixture(scope="module", name="failing_over")
def setup_on_a_primary_with_a_standby(work, plane):
    with contextlib.ExitStack() as stack:
        primary = system.DatabaseServer("postgresql")
        stack.callback(primary.close)
        standby = Standby(primary)
        stack.callback(standby.close)
        # Other programs are promoted to read-write as the endpoint is: by the list of hosts in the URL.
        made = Setup(work, plane, "standby", database_url=either(primary, standby))
        stack.callback(made.close)
        made.add_agent()
        made.wait_settled()
        yield made, primary, standby


def test_lost_commits_are_noticed_and_sent_again(failing_over, api, plane, namespace):
    setup, primary, standby = failing_over
    with storming(api, namespace, seed=81):
        Probe(api, namespace, version_of(setup)).write_to_row()
        wait_for("the standby has followed", lambda: standby.ask("SELECT count(*) FROM pg_stat_wal_receiver"))
        standby.cut_off()
        wait_for("the standby follows no more", lambda: not standby.ask("SELECT count(*) FROM pg_stat_wal_receiver"))
        cut = shard(setup.database)
        # In what is lost there is a term, too, which would come a second time.
        setup.agents[0].kill()
        setup.agents[0].start()
        wait_for("another term", lambda: shard(setup.database)[1] > cut[1])
        lost = Probe(api, namespace, version_of(setup), name="lost")
        for _ in range(3):
            lost.write_to_row()
        before = shard(setup.database)
        assert before[2] > cut[2], "commits are lost"
        mark = plane.audit_size()
        primary.kill()
        wait_for("readiness says so", lambda: not setup.endpoint.ready())
        standby.promote()
        wait_for("it is ready", setup.endpoint.ready, 30)
        gap = Probe(api, namespace, version_of(setup), name="after").write_to_row()
    verdict.wait_until_equal(setup.database, "prod", api, seconds=30)
    epoch, term, _ = shard(setup.database)
    assert epoch > before[0], "the lost commits were noticed"
    assert term > before[1], "no term comes twice"
    print(f"{before[2] - cut[2]} batches lost; readable {gap * 1000:.0f} ms after it was ready; {len(full_lists(plane.audit(mark)))} full lists")
