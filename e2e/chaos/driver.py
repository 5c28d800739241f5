"""One run: writers write, faults strike one after the other, and the ledger judges at the end."""
import random
import time
from typing import NamedTuple

from e2e.chaos import faults as all_faults
from e2e.chaos.journal import Reader
from e2e.chaos.ledger import Ledger
from e2e.chaos.plan import available, plan
from e2e.chaos.rig import ACCOUNT, NAMESPACE
from e2e.chaos.writers import Writers
from e2e.support import verdict
from e2e.support.system import wait_for

# A restarted API server forbids for a while what it allows otherwise, and an agent asks again after half a minute at most.
DEADLINE = 60
# Gaps of faults that have a bar may be longer than it by so much on a busy machine; beyond, something is wrong.
GENEROUS = 10
# The endpoint revokes an account's grant for silence once in 10 s, and notices within 2 s.
FORGIVEN = 12.5


class Struck(NamedTuple):
    fault: all_faults.Fault
    gap: float      # longest time from a write's answer to its row, of the writes answered during the fault
    writes: int     # how many these were
    lists: int      # full lists that agents made meanwhile


class Run:
    def __init__(self, rig, options, say):
        """`options`: those of the command line."""
        self._rig, self._seed, self._say = rig, options.seed, say
        lacking = self._lacking()
        for need, why in lacking.items():
            say(f"SKIPPED: faults that need {need}: {why}")
        self._plan = plan(available(all_faults.ALL, lacking, options.only), options.faults, options.seed)
        self.ledger = Ledger(DEADLINE)
        self.writers = Writers(rig.api, NAMESPACE, self.ledger, options.seed, options.rate)
        self._reader = Reader(rig.database_address, NAMESPACE, self.ledger)
        self.struck, self.offences, self.compared = [], [], 0
        self._silent_at = 0.0
        self._mark, self._until = rig.plane.audit_size(), 0.0  # where in the log and when the last fault was over

    def _lacking(self):
        lacking = {}
        if self._rig.database is None:
            lacking["database"] = "SQLite is a file of the endpoint's"
        if self._rig.loss.problem:
            lacking["loss"] = self._rig.loss.problem
        if self._rig.agents[0].clock.library is None:
            lacking["clock"] = "no libfaketime"
        return lacking

    def go(self):
        self._reader.start()
        self.writers.start()
        try:
            wait_for("a write of every kind is readable", lambda: len(self.writers.newest()) == 5, 30)
            for number, fault in enumerate(self._plan):
                self._strike(number, fault)
        finally:
            self.writers.stop()
        self._judge()

    def _strike(self, number, fault):
        self._settle(f"before fault {number + 1}, {fault.name}")
        if fault.silent:
            time.sleep(max(0.0, self._silent_at + FORGIVEN - time.monotonic()))
        chance = random.Random(f"{self._seed}-fault-{number}")
        begin = time.monotonic()
        if fault.silent:
            self._silent_at = begin
        course = fault.run(self._rig, chance)
        what, seconds = next(course)
        time.sleep(seconds)
        next(course, None)
        self._readable(f"after fault {number + 1}, {fault.name} ({what})")
        end = time.monotonic()
        gap, writes, _ = self.ledger.gap(begin, end)
        mark, self._mark = self._mark, self._rig.plane.audit_size()
        lists = sum(1 for one in self._rig.plane.audit(since=mark) if one.full_list)
        raised = [resource for when, resource in self.ledger.raised if when >= self._until]
        self._until = end
        self.struck.append(Struck(fault, gap, writes, lists))
        assert fault.bar is None or gap < fault.bar + GENEROUS, f"fault {number + 1}, {fault.name} ({what}): gap {gap:.1f} s"
        self._say(f"{number + 1:4}/{len(self._plan)} {fault.name} ({what}): {end - begin:.1f} s, {writes} writes, gap {gap:.2f} s"
                  + (f", {lists} full lists" if lists else "") + (f", new history of {', '.join(raised)}" if raised else ""))

    def _settle(self, when):
        """The next fault meets a primary, a standby and rows that follow."""
        self._readable(when)
        wait_for(f"a standby, {when}", lambda: self._rig.standbys() > 0, DEADLINE)

    def _readable(self, when):
        """What was answered last of every kind is a row. Nobody may have died meanwhile but by us."""
        wanted = self.writers.newest().values()
        try:
            wait_for("", lambda: not self.ledger.unreadable(wanted), DEADLINE + 5)
        except AssertionError:
            late = "\n".join(str(one) for one in self.ledger.unreadable(wanted))
            raise AssertionError(f"not readable {DEADLINE + 5} s {when}:\n{late}") from None
        dead = [node.name for node in self._rig.agents + self._rig.endpoints if not node.alive()]
        assert not dead, f"{when}: {', '.join(dead)} ended by itself"
        assert not self.writers.problems, self.writers.problems

    def _judge(self):
        self._rig.whole()
        try:
            self.compared = verdict.wait_until_equal(self._rig.database_address, ACCOUNT, self._rig.api, DEADLINE, at_least=20)
        finally:
            self._reader.stop()
            self.offences = self.ledger.judge()
