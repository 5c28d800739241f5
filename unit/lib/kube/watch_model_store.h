#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/kube/watch_machine.h"

// The two ends of the model: a server, and a store that keeps rows by the endpoint's rules.
namespace fairlead::kube::model {

struct Object {
  std::string uid;
  uint64_t version = 0;
};
using Objects = std::map<std::string, Object>;

struct Event {
  uint64_t version = 0;
  EventType type = EventType::kAdded;
  std::string name;
  std::string uid;
};

struct Server {
  Objects objects;
  std::vector<Event> log;
  std::map<uint64_t, Objects> at;  // states that exact lists and later pages can still show
  uint64_t version = 10;
  uint64_t compacted = 0;
  uint64_t uids = 0;

  void Put(const std::string& name) {
    auto [place, added] = objects.try_emplace(name);
    if (added) place->second.uid = base::StrCat("uid", ++uids);
    place->second.version = ++version;
    log.push_back(
        {version, added ? EventType::kAdded : EventType::kModified, name, place->second.uid});
    at[version] = objects;
  }
  void Delete(const std::string& name) {
    const auto place = objects.find(name);
    if (place == objects.end()) return;
    log.push_back({++version, EventType::kDeleted, name, place->second.uid});
    objects.erase(place);
    at[version] = objects;
  }
  // Other resources move the version too.
  void Elsewhere() { at[++version] = objects; }
  void Compact() {
    compacted = version;
    at.erase(at.begin(), at.lower_bound(version));
    at[version] = objects;
  }
};

// The endpoint's rules: an older (history, version) never overwrites; an end deletes only what was
// not in its pages and not written since it began.
class Store {
 public:
  struct Row {
    uint64_t history = 0;
    uint64_t version = 0;
    std::string uid;
    uint64_t seq = 0;
  };

  void Upsert(const std::string& name, uint64_t history, uint64_t version, const std::string& uid) {
    const std::pair<uint64_t, uint64_t> at{history, version};
    if (auto dead = tombstones.find(name); dead != tombstones.end() && at < dead->second) return;
    Row& row = rows[name];
    if (at < std::pair{row.history, row.version}) return;
    row = {history, version, uid, ++seq};
  }
  void Delete(const std::string& name, uint64_t history, uint64_t version) {
    const std::pair<uint64_t, uint64_t> at{history, version};
    const auto row = rows.find(name);
    if (row != rows.end() && at < std::pair{row->second.history, row->second.version}) return;
    rows.erase(name);
    tombstones[name] = std::max(tombstones[name], at);
    ++seq;
  }

  std::map<std::string, Row> rows;
  std::map<std::string, std::pair<uint64_t, uint64_t>> tombstones;
  uint64_t seq = 0;
  std::optional<Position> position;
  uint64_t history = 1;  // the highest seen
};

}  // namespace fairlead::kube::model
