#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/session/convert.h"
#include "lib/wire/lease_table.h"
#include "lib/wire/shard_ledger.h"
#include "lib/wire/snapshot_admission.h"
#include "unit/model/database.h"

namespace fairlead::model {

namespace v1 = fairlead::agent::v1;

inline const base::U128 kAccount{7, 1};

// An endpoint process for one account: the real wire::LeaseTable, wire::ShardLedger and
// wire::SnapshotAdmission, and between them what Hub and WriterThread do. What it asks of the
// database waits as a job, the answer as another step: others come between. A value.
class Endpoint {
 public:
  using SessionId = wire::LeaseTable::SessionId;
  // What it says to agents, in order.
  struct Down {
    SessionId session = 0;
    std::variant<v1::ControlDown, v1::ChangesDown> message;
  };
  // What was done to the database.
  struct Work {
    int replica = 0;
    std::optional<store::Batch> batch;  // none: a term
    store::BatchResult result;
    uint64_t writer = 0;  // the grant a batch came under, unlike any other of any process
    std::vector<store::Seen> seen;
    int agent = 0;
    store::Term term;
    std::string database;  // as it was then
  };

  // Of another replica that took the term last.
  struct Rivals {
    bool serves = false;  // it is alive and has an agent that is not silent
    int agent = -1;       // for which it took it
  };

  explicit Endpoint(int replica) : replica_(replica) {}

  void Start();
  // As kill -9. Nothing of it is left.
  void Crash();
  [[nodiscard]] bool up() const { return up_; }
  [[nodiscard]] bool paused() const { return paused_; }
  void SetPaused(bool paused) { paused_ = paused; }
  [[nodiscard]] bool running() const { return up_ && !paused_; }

  [[nodiscard]] SessionId Open(int agent, const std::optional<v1::ShardSeen>& seen);
  void Close(SessionId session);
  void OnBatch(SessionId session, const v1::Batch& batch);
  void OnAsk(SessionId session, const v1::SnapshotAsk& ask);
  // Nothing is heard of a session for longer than its lease.
  void Silence(SessionId session);
  void Heard(SessionId session);
  [[nodiscard]] bool silent(SessionId session) const { return sessions_.at(session).silent; }
  // The connection to the database was lost and is there again: behind what it answered before,
  // the loop looks at its grants.
  void DoubtDatabase() { answers_.push_back({.doubt = true}); }
  // Nobody holds the account and somebody could.
  [[nodiscard]] bool WantsTick(const Rivals& rivals) const;
  void Tick();
  // Whether some agent of its sessions is not silent.
  [[nodiscard]] bool Listens() const;

  // One step of the writer's with the database.
  [[nodiscard]] bool HasJob() const { return up_ && !jobs_.empty(); }
  [[nodiscard]] bool NextIsBatch() const { return HasJob() && jobs_.front().batch.has_value(); }
  // `in_doubt`: what is committed is not known to be: the connection is lost with the answer.
  [[nodiscard]] std::optional<Work> DoWork(Database* database, bool in_doubt, const Rivals& rivals);
  // One answer of the writer's comes to the loop.
  [[nodiscard]] bool HasAnswer() const { return up_ && !answers_.empty(); }
  void TakeAnswer();

  [[nodiscard]] bool HasDown() const { return !down_.empty(); }
  [[nodiscard]] std::vector<Down> TakeDown() { return std::exchange(down_, {}); }
  void Print(std::string* out) const;

 private:
  // The one place that knows whether a term may be taken, for a session's agent: not while another
  // replica serves another agent. That a replica is taken for dead and is only stopped is among
  // what is searched.
  static bool MayTakeTerm(const Rivals& rivals, int agent) {
    return !rivals.serves || rivals.agent == agent;
  }

  struct Session {
    int agent = 0;
    std::vector<store::Seen> seen;  // of its Hello
    bool silent = false;
  };
  struct Grant {
    uint64_t number = 0;
    SessionId session = 0;
    wire::ShardLedger ledger;
    endpoint::SnapshotKinds snapshots;
  };
  struct Job {
    std::optional<store::Batch> batch;
    uint64_t grant = 0;
    size_t content = 0;                        // hash of it
    std::optional<store::BatchResult> landed;  // without being known to
    std::optional<store::Seen> held;           // a check of a grant
    // Of a term.
    SessionId session = 0;
    int agent = 0;
    uint64_t attempt = 0;
    std::vector<store::Seen> seen;
    std::optional<store::ShardState> read;  // what TakeTerm() compares with
  };
  struct AnswerOf {
    std::shared_ptr<const Job> job;
    store::BatchResult result;
    std::optional<store::Term> term;
    bool lost = false;   // of a check
    bool doubt = false;  // no answer: DoubtDatabase()
  };

  void Carry(const wire::LeaseTable::Actions& actions);
  void SendGrant(const AnswerOf& answer);
  void Break(const std::string& why);
  void DropGrant();
  void Admit(const std::vector<wire::SnapshotAdmission::Ticket>& tickets);
  void OnTerm(const AnswerOf& answer);
  void CheckGrants();
  void OnCommitted(const AnswerOf& answer);
  void Resolve(Job* job, Database* database);
  [[nodiscard]] std::optional<Work> Write(Job* job, Database* database, bool in_doubt);
  v1::ControlDown* Control(SessionId session);
  v1::ChangesDown* Changes(SessionId session);

  int replica_;
  uint64_t starts_ = 0;
  bool up_ = false;
  bool paused_ = false;
  base::Time now_{base::hours(1)};
  std::optional<wire::LeaseTable> leases_;
  std::optional<wire::SnapshotAdmission> admission_;
  std::map<SessionId, Session> sessions_;
  std::optional<Grant> grant_;
  std::optional<store::Seen> seen_;  // by the last grant
  uint64_t attempt_ = 0;             // the last begun
  SessionId next_session_ = 1;
  uint64_t next_grant_ = 1;
  WriterMemory writer_;
  std::deque<Job> jobs_;
  std::deque<AnswerOf> answers_;
  std::vector<Down> down_;
};

}  // namespace fairlead::model
