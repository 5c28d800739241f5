#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/account/audit_schedule.h"
#include "agent/account/recent_hashes.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "lib/base/loop.h"
#include "lib/json/object_view.h"
#include "lib/kube/kinds.h"
#include "lib/kube/watch_machine.h"
#include "lib/net/http.h"
#include "lib/wire/outbox.h"

namespace fairlead::agent {

// Counted over the life of the process; only what a watch sees.
struct WatchCounters {
  uint64_t events = 0;
  uint64_t items = 0;
  uint64_t changes = 0;
  uint64_t unchanged = 0;  // events that changed nothing of the content
  uint64_t invalid = 0;    // events and items that could not be read
  uint64_t oversize = 0;
  uint64_t lists = 0;  // full lists, page by page
  uint64_t rereads = 0;

  void Add(const WatchCounters& other) {
    events += other.events;
    items += other.items;
    changes += other.changes;
    unchanged += other.unchanged;
    invalid += other.invalid;
    oversize += other.oversize;
    lists += other.lists;
    rereads += other.rereads;
  }
};

// What a watch needs of its account. Everything outlives the watch.
class WatchHost {
 public:
  virtual ~WatchHost() = default;
  virtual net::HttpTransport* transport() = 0;
  // Headers with the credential of now.
  virtual net::Headers RequestHeaders() = 0;
  virtual void OnUnauthorized() = 0;
  virtual wire::Outbox* outbox() = 0;
  virtual RecentHashes* recent() = 0;
  virtual base::Loop* loop() = 0;
  virtual WatchCounters* counters() = 0;
  // Something was put into the outbox.
  virtual void OutboxChanged() = 0;
  virtual void AskSnapshot(const kube::WatchTargetSpec& target, const std::string& snapshot_id,
                           kube::SnapshotReason reason) = 0;
  virtual void OnWatchState() = 0;
};

// The I/O of one list and watch: carries out what kube::WatchMachine decides, reads what comes,
// cuts, hashes, and puts changes and snapshot parts into the outbox. It decides nothing itself.
//
// An object that cannot be read is counted, logged and left out; it hurts nothing else, and the end
// of a list that held one deletes nothing.
// Loop thread only.
class Watcher {
 public:
  Watcher(const kube::WatchTargetSpec& target, const kube::ScopeRules* scope, WatchHost* host,
          uint64_t seed);
  ~Watcher();
  // `position` is what the endpoint has of this watch, if anything.
  void Start(const std::optional<v1::Position>& position);
  void OnAdmitted(const std::string& snapshot_id);
  void OnWant(const v1::Want& want);
  // An audit now, or as soon as the watch is open.
  void OnAuditOrder();
  // The end of a snapshot of ours is committed.
  void OnSnapshotDone(const std::string& snapshot_id, bool verified);
  // The kind's definition was gone at `version`: its rows go, as far as protection lets them. Only
  // of a kind that the server does not know now, and once until it does again.
  void DeclareGone(const std::string& version);
  // The store would not take what was sent of this object.
  void OnRefused(const std::string& name_space, const std::string& name);
  // Stops (or lets go on) the streams of the list and the watch.
  void SetPaused(bool paused);

  [[nodiscard]] const kube::WatchTargetSpec& target() const { return target_; }
  [[nodiscard]] kube::WatchState state() const { return machine_.state(); }
  // As people are told: a list that is read beside a whole watch changes nothing for them.
  [[nodiscard]] kube::WatchState told_state() const {
    return machine_.live() ? kube::WatchState::kWatching : machine_.state();
  }
  // When what the watch was told last came, complete up to there; nullopt: nothing did so far.
  [[nodiscard]] std::optional<base::Time> heard() const { return heard_; }
  [[nodiscard]] const std::string& detail() const { return detail_; }
  [[nodiscard]] const std::string& snapshot_id() const { return snapshot_id_; }

 private:
  enum class What { kWatch, kList, kProbe, kAnchor };
  class Request;
  class Reread;

  void Apply(const kube::Actions& actions);
  void ApplyOne(const kube::Action& action);
  void Rearm();
  std::unique_ptr<Request> Open(What what, std::string target);
  void Close(std::unique_ptr<Request>* request);
  void FeedItem(Request* request, std::string_view text);
  void FeedFrame(std::string_view frame);
  void OnBody(Request* request, std::string_view data);
  void OnDone(Request* request, const absl::Status& status);
  void ListDone(Request* request);
  // `wanted`: the endpoint asked for it, so it is sent whatever was sent before.
  void Emit(kube::EventType type, bool wanted = false);
  void EmitItem();
  [[nodiscard]] bool Wanted(const json::ObjectView& object) const;
  void PumpRereads();
  void OnReread(const v1::ObjectName& name, int status, const std::string& body);
  void CheckWants();
  void BeginAudits(const std::optional<v1::Position>& position);
  void ArmAudit();
  void Audit();
  [[nodiscard]] base::Time now() const { return host_->loop()->clock().Now(); }

  kube::WatchTargetSpec target_;
  const kube::ScopeRules* scope_;
  WatchHost* host_;
  json::CutRules cut_rules_;
  kube::WatchMachine machine_;
  json::ObjectReader reader_;
  base::Sha256Trunc128Stream hash_;
  int watch_number_ = 0;
  bool bodies_ = true;  // the endpoint has no rows: bodies go with the pages
  bool paused_ = false;
  base::U128 salt_ = base::RandomU128();  // in RecentHashes, since the last snapshot began
  std::string snapshot_id_;
  bool admitted_ = false;    // snapshot_id_, and its end was not sent yet
  bool gone_ = false;        // declared so, and not seen since
  bool incomplete_ = false;  // something of the list under way could not be read
  std::string detail_;
  uint64_t seed_;
  std::optional<AuditSchedule> audits_;  // from Start() on
  std::unique_ptr<base::Timer> audit_timer_;
  std::optional<base::Time> heard_;
  base::Time listed_at_{};  // when the first page of the list under way was asked for
  std::string seen_before_;
  const json::ObjectView* current_ = nullptr;  // what the machine was just fed
  std::unique_ptr<Request> watch_;
  std::unique_ptr<Request> list_;
  std::unique_ptr<Request> check_;
  std::unique_ptr<base::Timer> timer_;
  base::Time timer_at_ = base::Time::max();

  bool awaiting_wants_ = false;
  std::deque<v1::ObjectName> wanted_;
  std::vector<std::unique_ptr<Reread>> rereads_;
  std::unique_ptr<base::Timer> reread_timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::agent
