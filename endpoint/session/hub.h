#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "endpoint/fleet/board.h"
#include "endpoint/identity/authority.h"
#include "endpoint/registry/registry.h"
#include "endpoint/session/api_call.h"
#include "endpoint/session/refusals.h"
#include "endpoint/store/scrub.h"
#include "endpoint/store/writer_queue.h"
#include "lib/base/loop.h"
#include "lib/json/object_view.h"
#include "lib/wire/lease_table.h"
#include "lib/wire/shard_ledger.h"
#include "lib/wire/snapshot_admission.h"
#include "lib/wire/transport.h"

namespace fairlead::endpoint {

struct HubOptions {
  std::string version;
  size_t concurrent_snapshots = 16;
  uint32_t flush_delay_ms = 2;
  uint64_t shard_credit_bytes = uint64_t{1} << 20;
  size_t queue_bytes = size_t{64} << 20;
  // Looks at the rows of one kind and watch themselves before an audit's list is compared with
  // them; the agent may begin when `done` was called, on any thread. Null: at once.
  std::function<void(const store::ScrubRequest& rows, std::function<void()> done)> scrub;
  // Other replicas of the endpoint may use the same database.
  bool replicas = false;
  size_t sessions_per_identity = 2000;
};

// Every agent session of this endpoint: who they are, what they claim, who holds which account, and
// what of their batches is committed. Decisions are LeaseTable's, ShardLedger's and
// SnapshotAdmission's; this carries them out.
//
// Loop thread only, apart from the store's callbacks, which are posted. A stream of an agent is
// read on while its batches wait for the writer; credit bounds what can wait.
class Hub : public wire::AgentService, public ApiRoute {
 public:
  // All pointers outlive the hub.
  Hub(const HubOptions& options, store::WriterQueue* writer, const Authority* authority,
      FleetBoard* board, base::Loop* loop);
  ~Hub() override;
  void Start();
  // Tells every agent to go elsewhere.
  void Drain(const std::string& reason);

  void PutAccount(const registry::Account& account);
  void RemoveAccount(const base::U128& uid);
  // Has the holding agent compare its rows with a fresh list: one kind's, or with "" of every kind.
  // False: no agent holds the account here.
  bool Audit(const base::U128& uid, const std::string& group, const std::string& resource);
  // Somebody else wrote under a term of their own: whoever holds the account begins anew.
  void Fenced(const base::U128& uid, const std::string& why);

  // No replica holds these accounts, which this one waits for.
  void OnFree(const std::vector<base::U128>& accounts);
  // Nobody knows any more what this replica waits for.
  void AskAgain();
  // The database may not be as this replica left it: grants whose shard is another's, or lost what
  // was acknowledged, begin anew.
  void CheckGrants();

  uint64_t StartCall(const base::U128& account, ApiRequest request,
                     std::shared_ptr<ApiListener> listener) override;
  void CreditCall(uint64_t call, uint64_t total) override;
  void CancelCall(uint64_t call) override;

  wire::StreamHandler<agent::v1::ControlUp>* OnControl(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<agent::v1::ControlDown>> sender) override;
  wire::StreamHandler<agent::v1::ChangesUp>* OnChanges(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<agent::v1::ChangesDown>> sender) override;
  wire::StreamHandler<agent::v1::ExchangeUp>* OnExchange(
      const wire::Peer& peer,
      std::unique_ptr<wire::StreamSender<agent::v1::ExchangeDown>> sender) override;
  void OnEnroll(const wire::Peer& peer, const agent::v1::EnrollRequest& request,
                std::function<void(absl::StatusOr<agent::v1::EnrollResponse>)> done) override;

 private:
  struct Session;
  struct Changes;
  struct Exchange;
  struct Call;
  struct Grant;
  using SessionId = wire::LeaseTable::SessionId;

  void OnControlMessage(Session* session, const agent::v1::ControlUp& message);
  void OnHello(Session* session, const agent::v1::Hello& hello);
  void OnStatus(Session* session, const agent::v1::AccountStatus& status);
  void OnChangesMessage(Changes* changes, agent::v1::ChangesUp message);
  void OnFragment(Changes* changes, const agent::v1::Fragment& fragment);
  void OnBatch(Session* session, const agent::v1::Batch& batch);
  struct Offered;
  void OnCommitted(const Offered& batch, const store::BatchResult& result);
  void SendAck(const Grant& grant, const Offered& batch);
  void SendWants(const Grant& grant, uint64_t seq, const std::vector<store::Want>& wants);
  void OnAsk(Session* session, const agent::v1::SnapshotAsk& ask);
  void OnSnapshotEnded(Grant* grant, const store::SnapshotOutcome& outcome);
  // Whose streams `open` opens, if the certificate is the session's own; null: nobody's.
  Session* SessionOf(const agent::v1::Open& open, const wire::Peer& peer);
  void CloseSession(SessionId id, const std::string& why);
  // Streams on which nobody says who they are.
  void CloseStrangers();
  void OnExchangeMessage(Exchange* exchange, agent::v1::ExchangeUp message);
  void CloseExchange(Exchange* exchange, const absl::Status& why);
  void CloseExchanges(Session* session, const absl::Status& why);
  void SendCalls(Session* session);
  void TimeOutCalls();
  void EndCall(uint64_t call, const absl::Status& status);
  void CloseChanges(Changes* changes, const absl::Status& why);

  void Carry(const wire::LeaseTable::Actions& actions);
  void BeginTerm(const wire::LeaseTable::Action& action);
  void OnTerm(const wire::LeaseTable::Action& action, absl::StatusOr<store::Term> begun);
  // Rows that fell out of the account's scope go, and then the grant begins. False: there are none.
  bool Rescope(const wire::LeaseTable::Action& action, const store::Term& term);
  void Refuse(const wire::LeaseTable::Action& action);
  void Release(const wire::LeaseTable::Action& action);
  void SendGrant(const wire::LeaseTable::Action& action, store::Term term);
  void SendPositions(Session* session, Grant* grant);
  void SendMorePositions();
  void Revoke(const wire::LeaseTable::Action& action);
  void Break(const base::U128& account, const std::string& why);
  void DropGrant(const base::U128& account);
  void Admit(const std::vector<wire::SnapshotAdmission::Ticket>& tickets);
  void AdmitOne(const base::U128& account, Grant* grant, const std::string& snapshot_id);
  void SendAdmit(const base::U128& account, uint64_t number, const std::string& snapshot_id);
  // Null: the grant's session has no Changes stream.
  wire::StreamSender<agent::v1::ChangesDown>* SenderOf(const Grant& grant);
  [[nodiscard]] bool Synced(const Grant& grant) const;
  void Publish(const base::U128& account);
  void Tick();
  bool Trusted(const std::string& identity) const;
  [[nodiscard]] double Load() const;
  [[nodiscard]] base::Time now() const { return loop_->clock().Now(); }

  HubOptions options_;
  store::WriterQueue* writer_;
  const Authority* authority_;
  FleetBoard* board_;
  base::Loop* loop_;
  json::ObjectReader objects_;
  wire::LeaseTable leases_;
  wire::SnapshotAdmission admission_;
  std::map<SessionId, std::unique_ptr<Session>> sessions_;
  std::map<std::string, Session*> by_session_id_;
  std::map<std::string, size_t> sessions_of_;   // by identity
  std::map<std::string, size_t> exchanges_of_;  // by identity
  std::vector<std::unique_ptr<Changes>>
      changes_;  // streams, also those not joined to a session yet
  std::map<Exchange*, std::unique_ptr<Exchange>> exchanges_;
  std::map<uint64_t, std::unique_ptr<Call>> calls_;
  uint64_t next_call_ = 1;
  std::map<base::U128, registry::Account> accounts_;
  std::map<base::U128, std::unique_ptr<Grant>> grants_;
  std::map<base::U128, store::Seen> seen_;  // of grants that ended
  std::set<base::U128> lost_commits_;       // until a grant that audits them was sent
  std::set<base::U128> untold_;             // whose agents have not been sent every position yet
  std::map<base::U128, Refusals> refusals_;
  SessionId next_session_ = 1;
  uint64_t next_grant_ = 1;
  uint64_t ticks_ = 0;
  std::unique_ptr<base::Timer> tick_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::endpoint
