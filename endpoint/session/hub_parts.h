#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/session/convert.h"
#include "endpoint/session/hub.h"
#include "lib/base/rate_limit.h"
#include "lib/wire/codec.h"
#include "lib/wire/fragments.h"

// What a hub holds of its agents; for its .cc files.
namespace fairlead::endpoint {

namespace v1 = fairlead::agent::v1;

constexpr size_t kMaxMessageBytes = size_t{4} << 20;
// An agent of 2,000 accounts reports each of them once a second at most.
constexpr double kMessagesPerSecond = 5000;
constexpr double kMessageBurst = 20000;

// One agent process: its Control stream, and its Changes stream once it has one.
struct Hub::Session : wire::StreamHandler<v1::ControlUp> {
  void OnMessage(v1::ControlUp message) override { hub->OnControlMessage(this, message); }
  void OnClosed(const absl::Status& why) override { hub->CloseSession(id, why.ToString()); }
  Hub* hub = nullptr;
  SessionId id = 0;
  wire::Peer peer;
  std::unique_ptr<wire::StreamSender<v1::ControlDown>> control;
  Changes* changes = nullptr;
  std::set<Exchange*> exchanges;
  std::deque<Exchange*> idle;    // of these, those that wait for a call
  std::deque<uint64_t> waiting;  // calls that wait for a stream
  bool greeted = false;
  std::string session_id;
  v1::Hello hello;
  std::map<std::string, v1::Claim> claims;
  base::Time opened{};
  base::RateLimit messages{kMessagesPerSecond,
                           kMessageBurst};  // but for batches: those have credit
};

struct Hub::Changes : wire::StreamHandler<v1::ChangesUp> {
  void OnMessage(v1::ChangesUp message) override {
    hub->OnChangesMessage(this, std::move(message));
  }
  void OnClosed(const absl::Status& why) override {
    if (session != nullptr) return hub->CloseSession(session->id, why.ToString());
    hub->CloseChanges(this, why);
  }
  Hub* hub = nullptr;
  wire::Peer peer;
  std::unique_ptr<wire::StreamSender<v1::ChangesDown>> sender;
  Session* session = nullptr;
  wire::FragmentJoiner fragments{kMaxMessageBytes};
  base::Time opened{};
};

// A stream for one API call.
struct Hub::Exchange : wire::StreamHandler<v1::ExchangeUp> {
  void OnMessage(v1::ExchangeUp message) override {
    hub->OnExchangeMessage(this, std::move(message));
  }
  void OnClosed(const absl::Status& why) override { hub->CloseExchange(this, why); }
  Hub* hub = nullptr;
  wire::Peer peer;
  std::unique_ptr<wire::StreamSender<v1::ExchangeDown>> sender;
  Session* session = nullptr;
  uint64_t call = 0;  // 0: none yet
  base::Time opened{};
};

// An API call that did not end.
struct Hub::Call {
  SessionId session = 0;
  v1::ApiRequest request;
  std::string body;
  std::shared_ptr<ApiListener> listener;
  Exchange* exchange = nullptr;  // null: it waits for one
  base::Time since{};
};

// A batch that the writer has.
struct Hub::Offered {
  base::U128 account;
  uint64_t grant = 0;  // its number
  uint64_t seq = 0;
  std::vector<store::Refused> refused;
  std::vector<Refusals::Key> refused_before;  // and in it again
};

struct Hub::Grant {
  uint64_t number = 0;
  base::U128 account;
  SessionId session = 0;
  wire::ShardLedger ledger;
  wire::PayloadHistory history;  // of what was accepted
  bool keep_secret_data = false;
  store::DeletionProtection protection;
  std::shared_ptr<const store::ScopeFilter> scope;
  SnapshotKinds snapshots;
  std::vector<store::Position> positions;  // until the agent was told
  size_t positions_told = 0;
  bool audit_all = false;  // once the positions are sent: the store lost commits
  base::Time begun{};
  std::optional<v1::AccountStatus> status;        // the agent's last
  std::map<std::string, v1::SnapshotAsk> audits;  // by snapshot id: asked for and not ended
  std::set<std::string> admitted;                 // snapshots that may begin or have begun
};

}  // namespace fairlead::endpoint
