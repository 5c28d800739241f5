#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/kube/watch_machine.h"
#include "unit/lib/kube/watch_actions.h"
#include "unit/lib/kube/watch_model_store.h"

// A WatchMachine between a server that writes, compacts, is restored and fails at random, and a
// store that keeps rows by the endpoint's rules. Whatever happens, in the end the store equals the
// server, and nothing was deleted that the server still had.
namespace fairlead::kube::model {

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) { StartMachine(); }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      Write();
      if (Chance(40)) Crash();
      if (Chance(10)) Restore();
      if (Chance(60) && !check_ && !list_) Apply(machine_->Audit(now_));
      Step(/*faults=*/true);
      CheckInvariants();
    }
    for (int i = 0; i < 3000 && !::testing::Test::HasFailure(); ++i) {
      Step(/*faults=*/false);
      CheckInvariants();
      if (Settled()) break;
    }
  }

  [[nodiscard]] bool Settled() const {
    return machine_->state() == WatchState::kWatching && !machine_->in_snapshot() && !list_ &&
           !admission_ && machine_->position_valid() && watch_open_ && watch_at_ >= server_.version;
  }
  [[nodiscard]] std::string View() const {
    std::string text;
    for (const auto& [name, row] : store_.rows) text += base::StrCat(name, "=", row.uid, " ");
    return text;
  }
  [[nodiscard]] std::string Truth() const {
    std::string text;
    for (const auto& [name, object] : server_.objects) {
      text += base::StrCat(name, "=", object.uid, " ");
    }
    return text;
  }
  int snapshots = 0;
  int restores = 0;
  int crashes = 0;

 private:
  struct Page {
    std::string token;
    size_t next = 0;
    std::vector<std::pair<std::string, Object>> items;
    uint64_t version = 0;
    std::string continue_token;
  };

  uint64_t Random(uint64_t below) { return base::NextRandom(&random_) % below; }
  bool Chance(uint64_t one_in) { return Random(one_in) == 0; }

  void StartMachine() {
    machine_ = std::make_unique<WatchMachine>(WatchOptions{.seed = Random(1 << 30)});
    Apply(machine_->Start(Granted(), now_));
  }

  // The position as the endpoint would grant it: its own, or what its rows say.
  std::optional<Position> Granted() {
    if (!store_.position && store_.rows.empty() && store_.tombstones.empty()) return std::nullopt;
    Position position = store_.position.value_or(Position{});
    if (!store_.position || position.history != store_.history) position.resource_version = "";
    position.history = store_.history;
    position.count = store_.rows.size();
    std::vector<std::pair<uint64_t, std::string>> newest;
    for (const auto& [name, row] : store_.rows) {
      if (row.history == store_.history) newest.emplace_back(row.seq, name);
    }
    if (position.resource_version.empty() || Chance(3)) position.anchors.clear();
    if (!position.anchors.empty()) return position;
    std::sort(newest.rbegin(), newest.rend());
    for (size_t i = 0; i < newest.size() && i < 4; ++i) {
      const Store::Row& row = store_.rows[newest[i].second];
      position.anchors.push_back({"", newest[i].second, row.uid, std::to_string(row.version)});
    }
    return position;
  }

  void Crash() {
    ++crashes;
    watch_open_ = false;
    watch_asked_ = false;
    list_.reset();
    check_.reset();
    admission_ = wants_ = in_snapshot_ = false;
    emitter_ = last_machine_ = nullptr;
    StartMachine();
  }

  // A backup is brought back: later versions are gone, every connection is lost. Nothing is written
  // until that was noticed (once versions have overtaken, only anchors can tell).
  void Restore() {
    if (machine_->state() != WatchState::kWatching || frozen_) return;
    const auto old = server_.at.begin();
    if (old == server_.at.end() || old->first + 1 >= std::stoull(machine_->seen_version())) return;
    if (store_.position && old->first >= Number(store_.position->resource_version)) return;
    ++restores;
    frozen_ = true;
    frozen_history_ = machine_->history();
    server_.objects = old->second;
    server_.version = old->first;
    server_.compacted = old->first;
    server_.at.erase(std::next(server_.at.begin()), server_.at.end());
    std::erase_if(server_.log, [&](const Event& event) { return event.version > server_.version; });
    LoseConnections();
  }

  static uint64_t Number(const std::string& text) { return text.empty() ? 0 : std::stoull(text); }

  void LoseConnections() {
    const ApiError lost = TransportError(absl::UnavailableError("connection lost"));
    if (std::exchange(watch_asked_, false)) {
      watch_open_ = false;
      Apply(machine_->OnWatchFailed(lost, now_));
    }
    if (list_) {
      list_.reset();
      Apply(machine_->OnListFailed(lost, now_));
    }
    if (check_) {
      check_.reset();
      Apply(machine_->OnCheckFailed(lost, now_));
    }
  }

  void Write() {
    if (frozen_ && machine_->history() != frozen_history_) frozen_ = false;
    if (frozen_) return;
    const std::string name(1, static_cast<char>('a' + Random(8)));
    switch (Random(8)) {
      case 0:
      case 1:
        server_.Put(name);
        break;
      case 2:
        server_.Delete(name);
        break;
      case 3:
        server_.Elsewhere();
        break;
      case 4:
        if (Chance(8)) server_.Compact();
        break;
      default:
        break;
    }
  }

  ApiError Fault() {
    ApiError error;
    switch (Random(5)) {
      case 0:
        return TransportError(absl::UnavailableError("connection lost"));
      case 1:
        error.code = 429;
        error.reason = Reason::kTooManyRequests;
        error.retry_after = base::seconds(3);
        return error;
      case 2:
        error.code = 403;
        error.reason = Reason::kForbidden;
        return error;
      case 3:
        error.code = 404;
        error.reason = Reason::kNotFound;
        return error;
      default:
        error.code = 503;
        error.reason = Reason::kUnavailable;
        return error;
    }
  }
  static ApiError Expired() {
    ApiError error;
    error.code = 410;
    error.reason = Reason::kExpired;
    return error;
  }

  // One thing happens: an answer or a piece of one, or time passes.
  void Step(bool faults) {
    const bool fault = faults && Chance(12);
    switch (Random(6)) {
      case 0:
        if (check_) return AnswerCheck(fault);
        break;
      case 1:
        if (list_) return AnswerList(fault);
        break;
      case 2:
        if (watch_asked_) return AnswerWatch(fault, faults);
        break;
      case 3:
        if (std::exchange(admission_, false)) return Apply(machine_->OnSnapshotAdmitted(now_));
        break;
      case 4:
        if (std::exchange(wants_, false)) return Apply(machine_->OnWantsDone(now_));
        break;
      default:
        now_ += base::milliseconds(Random(2000));
        if (!check_ && !list_ && !watch_asked_ && machine_->NextWake() != base::Time::max()) {
          now_ = std::max(now_, machine_->NextWake());
        }
        if (now_ >= machine_->NextWake()) Apply(machine_->Tick(now_));
    }
  }

  void AnswerCheck(bool fault) {
    const Anchor anchor = check_->anchor;
    const bool probe = anchor.name.empty();
    const std::string exact = check_->exact_version;
    check_.reset();
    if (fault) return Apply(machine_->OnCheckFailed(Fault(), now_));
    if (probe) {
      return Apply(
          machine_->OnProbe(std::to_string(server_.version), server_.objects.empty(), now_));
    }
    const Objects* state = &server_.objects;
    if (!exact.empty()) {
      const auto at = server_.at.find(std::stoull(exact));
      if (at == server_.at.end()) return Apply(machine_->OnCheckFailed(Expired(), now_));
      state = &at->second;
    }
    const auto found = state->find(anchor.name);
    if (found == state->end()) return Apply(machine_->OnAnchor(std::nullopt, now_));
    const std::string version = std::to_string(found->second.version);
    Apply(machine_->OnAnchor(ObjectRef{"", anchor.name, found->second.uid, version}, now_));
  }

  // Reads the page at its first item; a token is "<version>/<name after which to go on>".
  bool LoadPage() {
    if (list_->version != 0) return true;
    const Objects* state = &server_.objects;
    uint64_t version = server_.version;
    std::string after;
    if (const size_t slash = list_->token.find('/'); slash != std::string::npos) {
      after = list_->token.substr(slash + 1);
      const uint64_t asked = std::stoull(list_->token.substr(0, slash));
      if (asked != 0) {
        const auto at = server_.at.find(asked);
        if (at == server_.at.end()) {
          ApiError error = Expired();
          if (Chance(2)) error.continue_token = base::StrCat("0/", after);
          list_.reset();
          Apply(machine_->OnListFailed(error, now_));
          return false;
        }
        state = &at->second;
        version = asked;
      }
    }
    if (state == &server_.objects) server_.at[version] = server_.objects;
    for (auto item = state->upper_bound(after); item != state->end(); ++item) {
      if (list_->items.size() == 2) {
        list_->continue_token = base::StrCat(version, "/", list_->items.back().first);
        break;
      }
      list_->items.emplace_back(*item);
    }
    list_->version = version;
    return true;
  }

  void AnswerList(bool fault) {
    if (fault) {
      list_.reset();
      return Apply(machine_->OnListFailed(Fault(), now_));
    }
    if (!LoadPage()) return;
    if (list_->next < list_->items.size()) {
      const auto& [name, object] = list_->items[list_->next++];
      fed_name_ = name;
      fed_uid_ = object.uid;
      fed_version_ = object.version;
      const std::string version = std::to_string(object.version);
      return Apply(machine_->OnListItem({"", fed_name_, fed_uid_, version}, now_));
    }
    const Page page = *std::exchange(list_, std::nullopt);
    Apply(machine_->OnListPage(std::to_string(page.version), page.continue_token, now_));
  }

  void AnswerWatch(bool fault, bool faults) {
    const auto over = [&] {
      watch_asked_ = false;
      watch_open_ = false;
    };
    if (!watch_open_) {
      if (fault) return over(), Apply(machine_->OnWatchFailed(Fault(), now_));
      // A server takes a version from its future, and then says nothing.
      if (watch_at_ < server_.compacted) {
        return over(), Apply(machine_->OnWatchFailed(Expired(), now_));
      }
      watch_open_ = true;
      return Apply(machine_->OnWatchOpened(now_));
    }
    if (fault) {
      over();
      return Apply(Chance(2) ? machine_->OnWatchEnd(now_) : machine_->OnWatchFailed(Fault(), now_));
    }
    if (watch_at_ < server_.compacted && faults && Chance(3)) {
      return over(), Apply(machine_->OnWatchFailed(Expired(), now_));
    }
    for (const Event& event : server_.log) {
      // Now and then one comes once more.
      if (event.version <= watch_at_ && !(faults && event.version == watch_at_ && Chance(4))) {
        continue;
      }
      watch_at_ = event.version;
      fed_name_ = event.name;
      fed_uid_ = event.uid;
      fed_version_ = event.version;
      const std::string version = std::to_string(event.version);
      return Apply(machine_->OnEvent(event.type, {"", fed_name_, fed_uid_, version}, now_));
    }
    if (watch_at_ < server_.version) {
      watch_at_ = server_.version;
      Apply(machine_->OnBookmark(std::to_string(watch_at_), now_));
    }
  }

  void Apply(const Actions& actions) {
    for (const Action& action : actions) ApplyOne(action);
  }

  void ApplyOne(const Action& action) {
    store_.history = std::max(store_.history, in_snapshot_ ? machine_->history() : 0);
    if (std::holds_alternative<RequestAdmission>(action)) {
      admission_ = true;
    } else if (std::holds_alternative<OpenProbe>(action)) {
      ASSERT_FALSE(check_);
      check_ = OpenAnchorCheck{};
    } else if (const auto* check = std::get_if<OpenAnchorCheck>(&action)) {
      ASSERT_FALSE(check_);
      check_ = *check;
    } else if (const auto* list = std::get_if<OpenList>(&action)) {
      ASSERT_FALSE(list_);
      list_ = Page{.token = list->continue_token};
    } else if (const auto* watch = std::get_if<OpenWatch>(&action)) {
      ASSERT_FALSE(watch_asked_);
      watch_asked_ = true;
      watch_at_ = std::stoull(watch->resource_version);
    } else if (std::holds_alternative<CloseWatch>(action)) {
      ASSERT_TRUE(std::exchange(watch_asked_, false));
      watch_open_ = false;
    } else if (std::holds_alternative<CloseList>(action)) {
      ASSERT_TRUE(list_);
      list_.reset();
    } else if (std::holds_alternative<CloseCheck>(action)) {
      ASSERT_TRUE(check_);
      check_.reset();
    } else if (const auto* change = std::get_if<EmitChange>(&action)) {
      Change(change->type);
    } else {
      Snapshot(action);
    }
  }

  void SavePosition() {
    store_.position = Position{.history = machine_->history(),
                               .resource_version = machine_->seen_version(),
                               .anchors = machine_->AnchorsAt(machine_->seen_version())};
  }

  void Change(EventType type) {
    const uint64_t history = machine_->history();
    const std::pair<uint64_t, uint64_t> at{history, fed_version_};
    if (machine_.get() == emitter_) {
      ASSERT_GT(at, emitted_) << "came out twice";
    }
    emitter_ = machine_.get();
    emitted_ = at;
    if (type == EventType::kDeleted) {
      store_.Delete(fed_name_, history, fed_version_);
    } else {
      store_.Upsert(fed_name_, history, fed_version_, fed_uid_);
    }
    if (machine_->position_valid() && Chance(2)) SavePosition();
  }

  void Snapshot(const Action& action) {
    if (std::holds_alternative<EmitSnapshotBegin>(action)) {
      ASSERT_FALSE(std::exchange(in_snapshot_, true));
      ++snapshots;
      store_.history = std::max(store_.history, machine_->history());
      begin_seq_ = ++store_.seq;
      listed_.clear();
      page_.clear();
    } else if (std::holds_alternative<EmitSnapshotItem>(action)) {
      ASSERT_TRUE(in_snapshot_);
      for (const Event& item : page_) ASSERT_NE(item.name, fed_name_) << "twice in a page";
      page_.push_back({fed_version_, EventType::kAdded, fed_name_, fed_uid_});
    } else if (std::holds_alternative<DropPage>(action)) {
      page_.clear();
    } else if (std::holds_alternative<EmitSnapshotPage>(action)) {
      for (const Event& item : std::exchange(page_, {})) {
        listed_.insert(item.name);
        store_.Upsert(item.name, machine_->history(), item.version, item.uid);
      }
    } else if (std::holds_alternative<AwaitWants>(action)) {
      wants_ = true;
    } else if (const auto* end = std::get_if<EmitSnapshotEnd>(&action)) {
      ASSERT_TRUE(std::exchange(in_snapshot_, false));
      EndSnapshot(std::stoull(end->resource_version));
    } else if (std::holds_alternative<SnapshotAbandoned>(action)) {
      ASSERT_TRUE(std::exchange(in_snapshot_, false));
      wants_ = false;
    } else if (std::holds_alternative<PositionMoved>(action)) {
      ASSERT_FALSE(in_snapshot_);
      SavePosition();
    }
  }

  void EndSnapshot(uint64_t version) {
    std::erase_if(store_.rows, [&](const auto& entry) {
      const auto& [name, row] = entry;
      if (row.seq >= begin_seq_ || listed_.contains(name)) return false;
      const auto object = server_.objects.find(name);
      EXPECT_FALSE(object != server_.objects.end() && object->second.uid == row.uid)
          << name << " still exists";
      store_.tombstones[name] = {machine_->history(), version};
      return true;
    });
  }

  void CheckInvariants() {
    ASSERT_EQ(machine_->in_snapshot(), in_snapshot_);
    const std::pair<uint64_t, uint64_t> at{machine_->history(), Number(machine_->seen_version())};
    if (machine_.get() == last_machine_) {
      ASSERT_GE(at, last_at_);
    }
    last_machine_ = machine_.get();
    last_at_ = at;
    const bool waits = machine_->NextWake() != base::Time::max();
    ASSERT_TRUE(waits || check_ || list_ || watch_asked_ || admission_ || wants_) << "stuck";
  }

  uint64_t random_;
  base::Time now_{std::chrono::hours(1)};
  Server server_;
  Store store_;
  std::unique_ptr<WatchMachine> machine_;
  std::optional<OpenAnchorCheck> check_;  // a probe has no name
  std::optional<Page> list_;
  bool watch_asked_ = false;
  bool watch_open_ = false;
  uint64_t watch_at_ = 0;
  bool admission_ = false;
  bool wants_ = false;
  bool in_snapshot_ = false;
  uint64_t begin_seq_ = 0;
  std::set<std::string> listed_;
  std::vector<Event> page_;
  std::string fed_name_;
  std::string fed_uid_;
  uint64_t fed_version_ = 0;
  bool frozen_ = false;
  uint64_t frozen_history_ = 0;
  const WatchMachine* emitter_ = nullptr;
  std::pair<uint64_t, uint64_t> emitted_{};
  const WatchMachine* last_machine_ = nullptr;
  std::pair<uint64_t, uint64_t> last_at_{};
};

}  // namespace fairlead::kube::model
