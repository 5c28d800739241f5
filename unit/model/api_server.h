#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/watch_types.h"

namespace fairlead::model {

struct Object {
  std::string uid;
  uint64_t version = 0;
  friend bool operator==(const Object&, const Object&) = default;
};
using Objects = std::map<std::string, Object>;

// One collection of an API server: what is in it, what was, and the events between.
//
// A version is never used by two histories: in the n-th history they end in n. Nobody could tell
// the same object written at the same version before and after a restore apart.
class ApiServer {
 public:
  struct Event {
    uint64_t version = 0;
    kube::EventType type = kube::EventType::kAdded;
    std::string name;
    std::string uid;
  };

  // "a" = Put("a"), "A" = Delete("a").
  void Write(char what);
  void Put(const std::string& name);
  void Delete(const std::string& name);
  // Versions before now cannot be listed or watched from any more.
  void Compact() { compacted_ = version_; }
  // The last `changes` changes never were.
  void Restore(size_t changes);

  [[nodiscard]] const Objects& objects() const { return objects_; }
  [[nodiscard]] uint64_t version() const { return version_; }
  [[nodiscard]] uint64_t compacted() const { return compacted_; }
  [[nodiscard]] uint64_t restores() const { return restores_; }
  // Of this history, oldest first.
  [[nodiscard]] const std::vector<Event>& log() const { return log_; }
  // What was there at a version, of whatever history; null = no such version.
  [[nodiscard]] const Objects* At(uint64_t version) const;
  // What the server shows as exactly of `version`, which may be one that another history had; null
  // = compacted. Of a version to come it says nothing until it is there, and then something else
  // than was known of it: here at once.
  [[nodiscard]] const Objects* Exact(uint64_t version) const;
  // Whether `version` is of this history.
  [[nodiscard]] bool Happened(uint64_t version) const { return !undone_.contains(version); }
  // Whether it was ever deleted, or its creation undone.
  [[nodiscard]] bool WentAway(const std::string& uid) const;

  void Print(std::string* out) const;

 private:
  void Changed(kube::EventType type, const std::string& name, const std::string& uid);

  Objects objects_;
  uint64_t version_ = 10;
  uint64_t compacted_ = 0;
  uint64_t restores_ = 0;
  uint64_t uids_ = 0;
  std::vector<Event> log_;
  std::map<uint64_t, Objects> at_{{10, {}}};
  std::set<uint64_t> undone_;
  std::set<std::string> deleted_;  // uids, also of what was undone since
};

}  // namespace fairlead::model
