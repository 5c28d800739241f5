#include "endpoint/session/refusals.h"

#include <variant>

#include "lib/base/strings.h"

namespace fairlead::endpoint {

namespace {

constexpr size_t kMostReason = 200;  // bytes

}  // namespace

std::vector<Refusals::Key> Refusals::In(const store::Batch& batch) const {
  std::vector<Key> in;
  if (refused_.empty()) return in;
  const auto look = [&](const std::string& group, const std::string& resource,
                        const std::string& name_space, const std::string& name) {
    Key key{group, resource, {name_space, name}};
    if (refused_.contains(key)) in.push_back(std::move(key));
  };
  for (const store::Entry& entry : batch.entries) {
    if (const auto* change = std::get_if<store::Change>(&entry)) {
      const store::Kind& kind = batch.kinds[change->kind];
      look(kind.group, kind.resource, change->name_space, change->name);
    }
    const auto* page = std::get_if<store::SnapshotPage>(&entry);
    if (page == nullptr) continue;
    for (const store::SnapshotItem& item : page->items) {
      if (!item.has_body || item.refused) continue;
      // A page does not name its kind; what is compared later would say so if it was another's.
      for (const auto& [key, why] : refused_) {
        const auto& [group, resource, object] = key;
        if (object == store::ObjectName{item.name_space, item.name}) {
          look(group, resource, item.name_space, item.name);
        }
      }
    }
  }
  return in;
}

void Refusals::Committed(const std::vector<Key>& in, const std::vector<store::Refused>& refused) {
  for (const Key& key : in) refused_.erase(key);
  for (const store::Refused& one : refused) {
    Key key{one.kind.group, one.kind.resource, one.object};
    if (refused_.size() >= kMost && !refused_.contains(key)) continue;
    refused_[std::move(key)] = one.reason.substr(0, kMostReason);
  }
}

void Refusals::Proven(const store::Kind& kind) {
  std::erase_if(refused_, [&](const auto& one) {
    return std::get<0>(one.first) == kind.group && std::get<1>(one.first) == kind.resource;
  });
}

std::vector<std::string> Refusals::Named() const {
  std::vector<std::string> named;
  for (const auto& [key, why] : refused_) {
    if (named.size() == kNamed) break;
    const auto& [group, resource, object] = key;
    named.push_back(base::StrCat(resource, group.empty() ? "" : ".", group, " ", object.name_space,
                                 object.name_space.empty() ? "" : "/", object.name, ": ", why));
  }
  return named;
}

}  // namespace fairlead::endpoint
