#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/account/api_calls.h"
#include "agent/account/watcher.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/backoff.h"
#include "lib/kube/kubeconfig.h"

namespace fairlead::agent {

// What an account says upward.
class AccountHost {
 public:
  virtual ~AccountHost() = default;
  // What is claimed of the account's cluster became known, or changed.
  virtual void OnClaim(const v1::Claim& claim) = 0;
  // False: the line is behind; OnRoom() will be called.
  virtual bool MaySend() = 0;
  virtual void SendBatch(v1::Batch batch) = 0;
  virtual void AskSnapshot(v1::SnapshotAsk ask) = 0;
  virtual void SendStatus(v1::AccountStatus status) = 0;
};

struct AccountOptions {
  std::string name;
  kube::ClusterAccess access;
  wire::OutboxOptions outbox;
  uint64_t seed = 1;
  RecentHashes* recent = nullptr;  // of the account's worker
};

// One account: asks its cluster who it is, and while it holds a grant lists and watches what the
// grant's scope asks for.
//
// A grant begins from the positions that follow it; another grant, a revocation or the session's
// end stops every watch and drops what was pending. Loop thread only.
class Account : public WatchHost {
 public:
  // `make_transport` gives the client of the account's API server.
  Account(const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport,
          AccountHost* host, base::Loop* loop);
  ~Account() override;
  // Begins to ask the cluster who it is, and goes on until it answered.
  void Start();

  void OnGrant(const v1::Grant& grant);
  void OnPositions(const v1::Positions& positions);
  // Of a term that is not the one granted: ignored.
  void OnRevoke(uint64_t term, const std::string& why);
  // The session is over, and with it everything of it.
  void OnLost(const std::string& why);
  void OnAck(const v1::Ack& ack);
  void OnWant(const v1::Want& want);
  void OnAdmit(const v1::SnapshotAdmit& admit);
  // Also of watches that begin later in this grant.
  void OnAuditOrder(const v1::AuditOrder& order);
  void OnSnapshotDone(const v1::SnapshotDone& done);
  // A request of the endpoint's under this grant; `call` is the caller's number of it.
  void StartApiCall(uint64_t call, const v1::ApiRequest& request, std::string body,
                    ApiCallEvents events);
  void CreditApiCall(uint64_t call, uint64_t total) { api_calls_.Credit(call, total); }
  void CancelApiCall(uint64_t call) { api_calls_.Cancel(call); }
  // The line takes batches again.
  void OnRoom();

  [[nodiscard]] const std::string& name() const { return options_.name; }
  [[nodiscard]] bool granted() const { return granted_; }
  [[nodiscard]] const WatchCounters& counts() const { return counters_; }
  [[nodiscard]] size_t pending_bytes() const { return outbox_ ? outbox_->pending_bytes() : 0; }
  [[nodiscard]] std::map<kube::WatchState, int> watch_states() const;

  net::HttpTransport* transport() override { return transport_.get(); }
  net::Headers RequestHeaders() override;
  void OnUnauthorized() override { token_.Refused(); }
  wire::Outbox* outbox() override { return outbox_.get(); }
  RecentHashes* recent() override { return options_.recent; }
  base::Loop* loop() override { return loop_; }
  WatchCounters* counters() override { return &counters_; }
  void OutboxChanged() override;
  void AskSnapshot(const kube::WatchTargetSpec& target, const std::string& snapshot_id,
                   kube::SnapshotReason reason) override;
  void OnWatchState() override;

 private:
  class Call;
  using Answer = std::function<void(int status, const std::string& body)>;
  void Get(std::string target, std::string accept, Answer answer);
  void Probe();
  void Discover();
  void OnDiscovered(const kube::Discovery& discovery);
  [[nodiscard]] kube::Discovery WithStored(const kube::Discovery& discovery) const;
  void LookForDefinition(const kube::ResourceType& type);
  void EndGrant(const std::string& why);
  void StopWatches();
  void Flush();
  void ArmFlush();
  void SendState();
  void FillUnwatched(v1::AccountStatus* status) const;
  void FillKindState(const Watcher& watcher, v1::AccountStatus* status) const;
  [[nodiscard]] bool Current(const std::string& uid, uint64_t term) const;

  AccountOptions options_;
  std::unique_ptr<net::HttpTransport> transport_;
  AccountHost* host_;
  base::Loop* loop_;
  kube::TokenSource token_;
  base::Backoff backoff_;
  uint64_t random_;
  WatchCounters counters_;

  bool granted_ = false;
  v1::Grant grant_;
  kube::ScopeRules scope_;
  bool positions_complete_ = false;
  std::vector<v1::Position> positions_;
  std::map<std::pair<uint64_t, std::string>, std::vector<v1::Positions>>
      early_;  // before their grant
  std::unique_ptr<wire::Outbox> outbox_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<v1::AuditOrder> orders_;  // of this grant, for watches that begin later
  bool paused_ = false;
  std::string state_detail_;

  std::vector<std::unique_ptr<Call>> calls_;
  ApiCalls api_calls_;
  std::unique_ptr<base::Timer> probe_timer_;
  std::unique_ptr<base::Timer> discover_timer_;
  std::unique_ptr<base::Timer> flush_timer_;
  std::unique_ptr<base::Timer> state_timer_;
  std::unique_ptr<base::Timer> report_timer_;
  base::Time flush_at_ = base::Time::max();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::agent
