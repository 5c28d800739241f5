#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/account/account.h"
#include "agent/stats.h"
#include "agent/uplink/session.h"

namespace fairlead::agent {

struct AgentOptions {
  std::string version;
  std::string instance_id;  // unique per process
  std::string revision;
  std::string zone;
};

// Joins the accounts to the session: claims go up as they become known, grants and answers go to
// the account they are for, batches go up.
//
// Threads: the agent and its session live on `loop`; each account lives on the worker's loop it was
//   added with and is reached by Post() in both directions, so accounts of different workers share
//   nothing. An account's messages keep their order in each direction. What was under way when a
//   session ended may come after it: grants and batches carry their term and are dropped by whoever
//   reads that; a status that comes late is followed by the next.
class Agent : public UplinkListener {
 public:
  Agent(const AgentOptions& options, const UplinkOptions& uplink, Uplink::MakeChannel make_channel,
        base::Loop* loop);
  // Not while the session's loop runs, and after Close() if any worker is another thread.
  ~Agent() override;
  // Before Start(). `transport` is the worker's own; null worker = the session's loop.
  void AddAccount(const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport,
                  base::Loop* worker = nullptr);
  void Start();
  // Ends the session.
  void Stop();
  // Destroys the accounts, each on its worker, which must be running and another thread; waits.
  void Close();
  Uplink& uplink() { return uplink_; }
  // Gathers from all workers; `done` runs on the session's loop.
  void Collect(std::function<void(const AgentStats&)> done);

  v1::Hello MakeHello() override;
  void OnWelcome(const v1::Welcome& welcome) override;
  void OnGrant(const v1::Grant& grant) override;
  void OnRevoke(const v1::Revoke& revoke) override;
  void OnRules(const v1::AccountRules& rules) override;
  void OnClaimRefused(const v1::ClaimRefused& refused) override;
  void OnPositions(const v1::Positions& positions) override;
  void OnAck(const v1::Ack& ack) override;
  void OnWant(const v1::Want& want) override;
  void OnAdmit(const v1::SnapshotAdmit& admit) override;
  void OnAuditOrder(const v1::AuditOrder& order) override;
  void OnSnapshotDone(const v1::SnapshotDone& done) override;
  std::unique_ptr<ApiCall> OnApiRequest(const v1::ApiRequest& request, std::string body,
                                        ApiAnswer* answer) override;
  void OnRoom() override;
  void OnLost(const std::string& why) override;

 private:
  class Slot;
  class RemoteCall;
  Slot* ByUid(const std::string& uid);
  Slot* ByName(const std::string& name);
  void SendClaim(const v1::Claim& claim);

  AgentOptions options_;
  base::Loop* loop_;
  std::vector<std::unique_ptr<Slot>> slots_;
  uint64_t sessions_ = 0;
  uint64_t api_calls_ = 0;
  size_t first_told_ = 0;  // of the accounts, when there is room again
  Uplink uplink_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::agent
