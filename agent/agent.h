#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/account/account.h"
#include "agent/uplink/session.h"

namespace fairlead::metrics {
class Registry;
}

namespace fairlead::agent {

struct AgentOptions {
  std::string version;
  std::string instance_id;  // unique per process
  std::string revision;
  std::string zone;
};

// Joins the accounts to the session: claims go up as they become known, grants and answers go to
// the account they are for, batches go up. Loop thread only.
class Agent : public UplinkListener, public AccountHost {
 public:
  Agent(const AgentOptions& options, const UplinkOptions& uplink, Uplink::MakeChannel make_channel,
        base::Loop* loop);
  ~Agent() override;
  // Before Start().
  void AddAccount(const AccountOptions& options, std::unique_ptr<net::HttpTransport> transport);
  void Start();
  void Stop();
  Uplink& uplink() { return uplink_; }
  // Sets the gauges and counters of docs/reference/metrics.md.
  void Publish(metrics::Registry* registry) const;

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
  void OnLost(const std::string& why) override;

  void OnClaim(const v1::Claim& claim) override;
  void SendBatch(v1::Batch batch) override { uplink_.SendBatch(std::move(batch)); }
  void AskSnapshot(v1::SnapshotAsk ask) override { uplink_.AskSnapshot(std::move(ask)); }
  void SendStatus(v1::AccountStatus status) override { uplink_.SendStatus(std::move(status)); }

 private:
  Account* ByUid(const std::string& uid);
  Account* ByName(const std::string& name);

  AgentOptions options_;
  base::Loop* loop_;
  std::vector<std::unique_ptr<Account>> accounts_;
  uint64_t sessions_ = 0;
  Uplink uplink_;
};

}  // namespace fairlead::agent
