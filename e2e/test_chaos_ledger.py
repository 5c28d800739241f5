"""The chaos ledger and plan themselves: each offence is found in a scripted run that has it, and in no clean one."""
import pytest

from e2e.chaos.faults import ALL
from e2e.chaos.ledger import Doubt, Fence, Landed, Ledger, Write, percentile
from e2e.chaos.plan import available, plan

KEY = ("configmaps", "chaos", "one")


class Script:
    """A run by hand. Each call is a second later than the one before; a row's seq and fence follow by themselves."""

    def __init__(self, deadline=30):
        self.ledger, self.now, self.seq, self.term = Ledger(deadline), 0.0, 0, 1
        self.nonces = {}
        self.fence(0)

    def _tick(self):
        self.now += 1.0
        return self.now

    def write(self, op, uid, version, nonce=None, key=KEY):
        now = self._tick()
        self.nonces.setdefault((uid, version), nonce or f"n{version}")
        self.ledger.wrote(Write(key, op, uid, version, self.nonces[uid, version], now - 0.1, now))
        return self

    def doubt(self, op, uid, nonce="", key=KEY):
        self.ledger.doubted(Doubt(key, op, uid, nonce))
        return self

    def row(self, uid, version, *, op="put", seq=None, digest=None, nonce=None, history=1, key=KEY):
        """Committed by the batch `seq`, else by the next one."""
        if seq is None:
            self.seq += 1
            self.fence(self.seq)
        nonce = nonce or self.nonces.get((uid, version), f"n{version}")
        self.ledger.saw(Landed(len(self.ledger.landed), op, key, uid, history, version, self.seq if seq is None else seq,
                               digest or nonce.encode(), nonce, self._tick()))
        return self

    def fence(self, seq, term=None, who="replica0", store=1, held=True):
        self.term = term or self.term
        self.ledger.saw_fence(Fence(len(self.ledger.fences), store, self.term, seq, who, held))
        return self

    def found(self):
        return [(one.kind, one.text) for one in self.ledger.judge()]

    def kinds(self):
        return [kind for kind, _ in self.found()]


def life():
    """Created, changed, deleted and created again, each of it a row in time."""
    return (Script().write("put", "a", 5).row("a", 5).write("put", "a", 6).row("a", 6)
            .write("delete", "a", 6).row("a", 6, op="delete").write("put", "b", 9).row("b", 9))


def test_a_clean_run_has_no_offence():
    assert life().found() == []


def test_states_that_later_ones_replaced_need_no_row():
    assert Script().write("put", "a", 5).write("put", "a", 6).write("delete", "a", 6).write("put", "b", 9).row("b", 9).found() == []


def test_what_was_deleted_before_it_landed_needs_no_row():
    assert Script().write("put", "a", 5).write("delete", "a", 5).found() == []


def test_a_write_that_changes_nothing_kept_needs_no_row_and_may_have_one():
    touched = Script().write("put", "a", 5).row("a", 5).write("touch", "a", 6, nonce="n5")
    assert touched.found() == []
    coalesced = Script().write("put", "a", 5).write("touch", "a", 6, nonce="n5").row("a", 6)
    assert coalesced.found() == []


def test_a_newer_version_of_an_equal_row_is_no_second_landing():
    assert life().row("b", 9, seq=4, history=2).found() == []


# lost


def test_a_write_that_never_lands_is_lost():
    assert life().write("put", "b", 10).kinds() == ["lost"]


def test_a_delete_that_never_lands_is_lost():
    assert life().write("delete", "b", 9).kinds() == ["lost"]


def test_a_create_after_a_landed_delete_is_lost_without_a_row():
    assert Script().write("put", "a", 5).row("a", 5).write("delete", "a", 5).row("a", 5, op="delete").write("put", "b", 9).kinds() == ["lost"]


def test_a_write_that_lands_after_the_deadline_is_lost():
    late = Script(deadline=1.5).write("put", "a", 5)
    late.now += 5
    assert late.row("a", 5).kinds() == ["lost"]


def test_a_write_that_waited_for_its_objects_delete_beyond_the_deadline_is_lost():
    late = Script(deadline=1.5).write("put", "a", 5)
    late.now += 5
    assert late.write("delete", "a", 5).kinds() == ["lost"]


def test_a_row_that_goes_without_a_delete_is_lost():
    found = life().row("b", 9, op="delete").found()
    assert ("lost", "delete of configmaps/chaos/one uid b version 9: the row went, and nobody had deleted the object") in found


def test_a_row_that_goes_before_its_delete_is_lost():
    assert Script().write("put", "a", 5).row("a", 5).row("a", 5, op="delete").write("delete", "a", 5).kinds() == ["lost"]


def test_a_delete_without_an_answer_may_have_happened():
    assert Script().write("put", "a", 5).row("a", 5).doubt("delete", "a").row("a", 5, op="delete").write("delete", "a", 5).found() == []


# twice


def test_a_version_that_lands_again_is_twice():
    assert "twice" in life().row("b", 9).kinds()


def test_a_version_that_lands_again_later_is_twice_and_backwards():
    assert life().write("put", "b", 10).row("b", 10).row("b", 9).kinds() == ["backwards", "twice"]


def test_an_equal_row_written_anew_is_twice():
    assert life().write("touch", "b", 10, nonce="n9").row("b", 10).kinds() == ["twice"]


def test_a_deleted_uid_that_comes_back_is_twice():
    back = Script().write("put", "a", 5).row("a", 5).write("delete", "a", 5).row("a", 5, op="delete").row("a", 5)
    assert "twice" in back.kinds()


def test_a_replaced_uid_that_comes_back_is_twice():
    back = Script().write("put", "a", 5).row("a", 5).write("delete", "a", 5).write("put", "b", 9).row("b", 9).row("a", 5)
    assert back.kinds() == ["backwards", "twice"]


def test_a_state_that_lands_after_its_objects_delete_is_twice():
    after = Script().write("put", "a", 5).row("a", 5).write("put", "a", 6).write("delete", "a", 6).row("a", 5, op="delete").row("a", 6)
    assert after.kinds() == ["twice"]


def test_a_state_that_lands_after_its_objects_successor_is_twice():
    after = Script().write("put", "a", 5).row("a", 5).write("delete", "a", 5).write("put", "b", 9).row("b", 9).write("put", "a", 10)
    assert after.row("a", 10).kinds() == ["twice"]


# backwards


def test_an_older_version_after_a_newer_one_is_backwards():
    assert Script().write("put", "a", 5).write("put", "a", 6).row("a", 6).row("a", 5).kinds() == ["backwards"]


def test_what_comes_after_an_older_version_is_held_against_the_newest():
    script = Script().write("put", "a", 5).write("put", "a", 6).write("put", "a", 7)
    assert script.row("a", 7).row("a", 5).row("a", 6).kinds() == ["backwards", "backwards"]


def test_an_older_version_after_a_delete_is_backwards():
    older = Script().write("put", "a", 5).write("put", "a", 6).row("a", 6).write("delete", "a", 6).row("a", 6, op="delete").row("a", 5)
    assert "backwards" in older.kinds()


def test_an_older_version_of_a_newer_history_is_not():
    assert Script().write("put", "a", 6).row("a", 6).write("put", "a", 5).row("a", 5, history=2).found() == []


def test_an_older_seq_after_a_newer_one_is_backwards():
    assert life().write("put", "b", 10).row("b", 10, seq=2).kinds() == ["backwards"]


# two writers


def test_a_takeover_is_one_writer_after_the_other():
    assert life().fence(4, term=2, who="replica1").fence(5, who="replica1").found() == []


def test_a_replica_that_gives_a_shard_up_commits_nothing():
    assert life().fence(4, held=False).found() == []
    assert life().fence(5, held=False).fence(6, held=False).found() == []
    assert life().fence(4, held=False).fence(4, held=False).kinds() == ["two writers"]


def test_a_commit_of_a_superseded_term_is_two_writers():
    assert life().fence(4, term=2).fence(5, term=1).kinds() == ["two writers", "two writers"]


def test_a_commit_of_another_replica_in_one_term_is_two_writers():
    assert life().fence(4, term=2, who="replica1").fence(5, who="replica0").kinds() == ["two writers"]


def test_a_term_that_two_replicas_began_is_two_writers():
    assert "two writers" in life().fence(4, term=2, who="replica1").fence(4, term=2, who="replica0").kinds()


@pytest.mark.parametrize("seq", [3, 4, 6])
def test_a_seq_that_does_not_follow_is_two_writers(seq):
    assert "two writers" in life().fence(seq).kinds()


def test_a_term_that_takes_commits_back_is_two_writers():
    assert "two writers" in life().fence(3, term=2).kinds()


def test_a_row_without_the_fence_of_its_seq_is_two_writers():
    assert life().write("put", "b", 10).row("b", 10, seq=7).kinds() == ["two writers"]


# invented


def test_a_version_that_nobody_wrote_is_invented():
    assert life().row("b", 10).kinds() == ["invented"]


def test_another_nonce_than_the_versions_is_invented():
    assert life().write("put", "b", 10).row("b", 10, nonce="other").kinds() == ["invented"]


def test_a_write_without_an_answer_may_land():
    assert life().doubt("put", "b", nonce="n10").row("b", 10).found() == []


def test_the_mark_of_a_deletion_is_the_api_servers_own_version():
    marked = life().row("b", 10, nonce="n9", digest=b"marked")
    assert marked.kinds() == ["invented"]
    assert marked.write("delete", "b", 9).row("b", 10, op="delete").found() == []


# gaps


def test_a_delay_lasts_until_the_write_or_a_later_state_is_a_row():
    script = Script().write("put", "a", 5).write("put", "a", 6)
    assert [script.ledger.delay(one) for one in script.ledger.writes] == [None, None]
    script.row("a", 6)
    assert [script.ledger.delay(one) for one in script.ledger.writes] == [2.0, 1.0]


def test_a_gap_is_the_longest_delay_of_the_writes_answered_meanwhile():
    script = Script().write("put", "a", 5).write("put", "a", 6).row("a", 6).write("put", "a", 7).write("touch", "a", 8)
    assert script.ledger.gap(0, 10) == (2.0, 3, 1)
    assert script.ledger.gap(1.5, 3) == (1.0, 1, 0)


def test_a_new_history_is_noted():
    assert life().ledger.raised == []
    assert life().row("b", 9, seq=4, history=2).ledger.raised == [(9.0, "configmaps")]


def test_percentiles_are_by_nearest_rank():
    assert [percentile(list(range(1, 101)), percent) for percent in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7], 99) == 7


# the plan


def test_a_plan_is_the_seeds_and_has_every_fault():
    made = plan(ALL, 60, 7)
    assert [one.name for one in made] == [one.name for one in plan(ALL, 60, 7)]
    assert [one.name for one in made] != [one.name for one in plan(ALL, 60, 8)]
    assert {one.name for one in made} == {one.name for one in ALL}
    assert len(made) == 60


def test_a_plan_keeps_silent_faults_apart():
    for seed in range(20):
        made = plan(ALL, 60, seed)
        assert not any(first.silent and second.silent for first, second in zip(made, made[1:]))


def test_a_plan_leaves_out_what_this_run_cannot_do():
    assert {"database killed", "database stopped"} == {one.name for one in ALL} - {one.name for one in available(ALL, {"database"})}


def test_a_plan_of_few_faults_repeats_none():
    made = plan(ALL, 10, 3)
    assert len({one.name for one in made}) == len(made) == 10
