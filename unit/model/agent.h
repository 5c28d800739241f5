#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/store/types.h"
#include "lib/kube/watch_machine.h"
#include "lib/wire/outbox.h"
#include "unit/model/api_server.h"

namespace fairlead::model {

namespace v1 = fairlead::agent::v1;

// An agent process of one account with one watch: the real kube::WatchMachine and wire::Outbox,
// and between them what agent::Account and agent::Watcher do. Checks, opening and waiting happen at
// once (lib/kube's own model searches those); events, pages, bodies read again and batches are
// steps.
//
// A value: a copy goes on by itself. Two agents that were told the same in the same order are
// equal, which is what Print() prints of the parts that cannot be looked into.
class Agent {
 public:
  struct Options {
    size_t page_items = 1;   // of a list
    size_t batch_bytes = 1;  // 1 = one change a batch
  };
  Agent(int number, const Options& options) : number_(number), options_(options) {}

  void Start();
  void Crash();
  [[nodiscard]] bool up() const { return up_; }
  // Highest (epoch, term, seq) of the shard, for Hello.
  [[nodiscard]] const std::optional<v1::ShardSeen>& seen() const { return seen_; }
  [[nodiscard]] bool granted() const { return granted_; }
  [[nodiscard]] uint64_t term() const { return grant_.term(); }
  [[nodiscard]] bool watching() const;

  void OnGrant(const v1::Grant& grant, const ApiServer& api);
  void OnRevoke(const v1::Revoke& revoke);
  void OnPositions(const v1::Positions& positions, const ApiServer& api);
  void OnAck(const v1::Ack& ack);
  void OnWant(const v1::Want& want, const ApiServer& api);
  void OnAdmit(const v1::SnapshotAdmit& admit, const ApiServer& api);
  // The session is over.
  void OnLost();

  // Steps, each with whether it can be taken now.
  [[nodiscard]] bool HasEvent(const ApiServer& api) const;
  void Event(const ApiServer& api);
  [[nodiscard]] bool HasPage() const { return granted_ && list_.has_value(); }
  void Page(const ApiServer& api);
  // A wanted body is read at the server, and later its answer is here.
  [[nodiscard]] bool HasWanted() const { return granted_ && !wanted_.empty(); }
  void ReadWanted(const ApiServer& api);
  [[nodiscard]] bool HasAnswer() const { return granted_ && !answers_.empty(); }
  void Answer(const ApiServer& api);
  [[nodiscard]] bool HasBatch() const;
  [[nodiscard]] std::optional<v1::Batch> Drain();
  [[nodiscard]] bool MayAudit() const;
  void Audit(const ApiServer& api);
  // The API server's connections are gone.
  void LoseApiServer(const ApiServer& api);

  // What is to be asked of the endpoint since this was called last.
  [[nodiscard]] bool HasAsks() const { return !asks_.empty(); }
  [[nodiscard]] std::vector<v1::SnapshotAsk> TakeAsks() { return std::exchange(asks_, {}); }
  void Print(std::string* out) const;

 private:
  void Begin(const std::optional<v1::Position>& position, const ApiServer& api);
  void EndGrant();
  void Apply(const kube::Actions& actions, const ApiServer& api);
  void ApplyOne(const kube::Action& action, const ApiServer& api);
  void ApplyRequest(const kube::Action& action);
  // Answers checks and opens watches until only steps are left.
  void Settle(const ApiServer& api);
  void AnswerCheck(const ApiServer& api);
  void Emit(kube::EventType type);
  void EmitItem();
  void CheckWants(const ApiServer& api);
  [[nodiscard]] bool Current(uint64_t term) const { return granted_ && term == grant_.term(); }
  void Note(const std::string& input);

  int number_;
  Options options_;
  bool up_ = false;
  std::optional<v1::ShardSeen> seen_;
  uint64_t snapshots_ = 0;
  std::vector<v1::SnapshotAsk> asks_;

  bool granted_ = false;
  v1::Grant grant_;
  std::map<uint64_t, v1::Positions> early_;  // by term
  bool begun_ = false;
  base::Time now_{base::hours(1)};
  std::optional<wire::Outbox> outbox_;
  std::optional<kube::WatchMachine> machine_;
  base::U128 told_;  // hash of everything machine and outbox were told, in order

  // The machine's open requests.
  bool probe_ = false;
  std::optional<kube::OpenAnchorCheck> anchor_;
  std::optional<std::string> list_;  // continue token, "<version>/<last name>"
  std::optional<uint64_t> opening_;  // a watch from this version
  std::optional<uint64_t> watch_;    // what came last of it

  bool bodies_ = true;
  std::string snapshot_id_;
  bool admitted_ = false;
  bool awaiting_wants_ = false;
  std::deque<std::string> wanted_;
  std::deque<std::pair<std::string, std::optional<Object>>> answers_;
  // What the machine is just fed.
  std::string fed_name_;
  std::string fed_uid_;
  uint64_t fed_version_ = 0;
  std::string seen_before_;
};

// The body of an object, as agents send it.
std::string BodyOf(const std::string& name, const Object& object);

}  // namespace fairlead::model
