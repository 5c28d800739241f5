#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/account/recent_hashes.h"
#include "agent/agent.h"
#include "endpoint/fleet/board.h"
#include "endpoint/registry/registry.h"
#include "endpoint/session/hub.h"
#include "endpoint/store/reader.h"
#include "endpoint/store/store.h"
#include "unit/fakes/fake_kube.h"
#include "unit/fakes/manual_loop.h"
#include "unit/fakes/memory_agent_transport.h"
#include "unit/fakes/memory_transport.h"
#include "unit/sim/loop_writer.h"

namespace fairlead::sim {

struct WorldOptions {
  uint64_t seed = 1;
  std::string database;  // a file that is not there yet
  size_t accounts = 1;
  bool per_namespace = false;  // one watch a namespace instead of one a kind
  uint32_t most_delete_percent = 100;
  uint64_t most_delete_count = 1'000'000;
  size_t concurrent_snapshots = 8;
  size_t pending_bytes = size_t{16} << 20;
  size_t batch_bytes = size_t{256} << 10;
  base::Duration checkpoint_interval = base::minutes(2);
  uint64_t most_per_page = 0;
  // Of each agent's table of recent hashes; 16 = one place. So that a seed's run stays the same, it
  // is never of a size at which some objects share a place and others do not.
  size_t recent_bytes = kLargeRecentBytes;
  static constexpr size_t kLargeRecentBytes = size_t{16} << 20;
};

// Fairlead whole, on one loop and one thread: clusters (FakeKube), agents, the endpoint's hub, and
// a real store on a SQLite file. Real but: HTTP, gRPC, the writer's thread.
// The same seed gives the same run: nothing here reads a clock or a random number of the machine
// that decides anything (ids do not).
class World {
 public:
  static constexpr const char* kKinds[] = {"pods", "configmaps", "secrets", "widgets"};
  static constexpr const char* kNamespaces[] = {"shop", "bank", "club"};
  // Stands in the values of Secrets and nowhere else: no agent may send it.
  static constexpr char kSecretValue[] = "value-of-a-secret";

  explicit World(const WorldOptions& options);
  ~World();

  fakes::ManualLoop& loop() { return loop_; }
  fakes::MemoryAgentNetwork& network() { return network_; }
  fakes::FakeKube& kube(size_t account) { return *clusters_[account]; }
  [[nodiscard]] size_t accounts() const { return clusters_.size(); }
  endpoint::store::Reader& reader() { return *reader_; }
  endpoint::store::Store& store() { return *store_; }
  endpoint::FleetBoard& board() { return board_; }
  LoopWriter& writer() { return *writer_; }

  // Sees what is said of every batch that is decided.
  void Observe(std::function<void(const std::string&)> observer) {
    observer_ = std::move(observer);
  }

  void StartEndpoint();
  // As kill -9: open transactions and everything in memory are gone.
  void CrashEndpoint();
  [[nodiscard]] bool endpoint_up() const { return hub_ != nullptr; }
  endpoint::Hub& hub() { return *hub_; }
  // The account is put again with another hash: its grant begins anew.
  void ChangeAccount(size_t account);
  [[nodiscard]] base::U128 Uid(size_t account) const { return {7, account + 1}; }

  void StartAgent(size_t slot);
  void CrashAgent(size_t slot);
  [[nodiscard]] bool agent_up(size_t slot) const {
    return slot < agents_.size() && agents_[slot] != nullptr;
  }
  void SetReachable(size_t account, bool reachable);
  // How long pieces of the clusters' answers travel: up to this.
  void set_answer_delay(base::Duration most) { answer_delay_ = most; }

  // What of the rows is not what agents have to send of the clusters' objects, or what was sent
  // that must not be; "" = neither.
  std::string Difference();
  // A batch as people read it.
  static std::string Describe(const endpoint::store::Batch& batch,
                              const endpoint::store::BatchResult& result);
  // Which position is not at its cluster's version; "" = none.
  std::string PositionsBehind();
  // Whether every watch of the account has had its first list.
  bool Listed(size_t account);
  void Advance(base::Duration by) { loop_.Advance(by); }
  [[nodiscard]] base::Time now() const { return loop_.clock().Now(); }

 private:
  struct AgentProcess {
    agent::RecentHashes recent;  // outlives the accounts
    std::unique_ptr<agent::Agent> agent;
    std::vector<fakes::MemoryTransport*> transports;
  };
  endpoint::registry::Account AccountOf(size_t account);
  [[nodiscard]] size_t Watches() const {
    return std::size(kKinds) * (options_.per_namespace ? std::size(kNamespaces) : 1);
  }
  std::string DifferenceOf(size_t account);

  WorldOptions options_;
  uint64_t random_;
  fakes::ManualLoop loop_;
  fakes::MemoryAgentNetwork network_{&loop_};
  std::vector<std::unique_ptr<fakes::FakeKube>> clusters_;
  std::vector<bool> reachable_;
  base::Duration answer_delay_{};
  std::vector<uint64_t> generations_;
  std::unique_ptr<endpoint::store::Store> store_;
  std::unique_ptr<endpoint::store::Reader> reader_;
  std::unique_ptr<LoopWriter> writer_;
  endpoint::FleetBoard board_;
  std::unique_ptr<endpoint::Hub> hub_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
  uint64_t processes_ = 0;
  std::function<void(const std::string&)> observer_;
  std::string leak_;  // the first message that held the value of a Secret
};

}  // namespace fairlead::sim
