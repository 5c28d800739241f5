#include "unit/model/api_server.h"

#include <algorithm>
#include <cctype>

#include "lib/base/strings.h"

namespace fairlead::model {

void ApiServer::Changed(kube::EventType type, const std::string& name, const std::string& uid) {
  version_ = (version_ / 10 + 1) * 10 + restores_;
  if (type == kube::EventType::kDeleted) {
    objects_.erase(name);
    deleted_.insert(uid);
  } else {
    objects_[name] = {uid, version_};
  }
  log_.push_back({version_, type, name, uid});
  at_[version_] = objects_;
}

void ApiServer::Write(char what) {
  const auto letter = static_cast<unsigned char>(what);
  const std::string name(1, static_cast<char>(std::tolower(letter)));
  return std::isupper(letter) != 0 ? Delete(name) : Put(name);
}

void ApiServer::Put(const std::string& name) {
  const auto known = objects_.find(name);
  if (known != objects_.end()) {
    return Changed(kube::EventType::kModified, name, std::string(known->second.uid));
  }
  Changed(kube::EventType::kAdded, name, base::StrCat("u", ++uids_));
}

void ApiServer::Delete(const std::string& name) {
  const auto known = objects_.find(name);
  if (known == objects_.end()) return;
  Changed(kube::EventType::kDeleted, name, std::string(known->second.uid));
}

void ApiServer::Restore(size_t changes) {
  while (changes-- > 0 && !log_.empty()) {
    undone_.insert(log_.back().version);
    log_.pop_back();
  }
  ++restores_;
  version_ = log_.empty() ? 10 : log_.back().version;
  objects_ = at_.at(version_);
  compacted_ = version_;
}

const Objects* ApiServer::At(uint64_t version) const {
  const auto found = at_.find(version);
  return found == at_.end() ? nullptr : &found->second;
}

const Objects* ApiServer::Exact(uint64_t version) const {
  static const Objects kNothing;
  if (version < compacted_) return nullptr;
  if (version > version_) return &kNothing;
  uint64_t last = 10;
  for (const Event& event : log_) {
    if (event.version <= version) last = event.version;
  }
  return At(last);
}

bool ApiServer::WentAway(const std::string& uid) const {
  const auto of_it = [&](const auto& one) { return one.second.uid == uid; };
  return deleted_.contains(uid) || std::none_of(objects_.begin(), objects_.end(), of_it);
}

void ApiServer::Print(std::string* out) const {
  for (const Event& event : log_) {
    out->append(base::StrCat(event.version, event.name,
                             event.type == kube::EventType::kDeleted ? "-" : "+"));
  }
  out->append(base::StrCat(" c", compacted_, " r", restores_));
}

}  // namespace fairlead::model
