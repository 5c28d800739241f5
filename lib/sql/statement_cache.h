#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/strings.h"

namespace fairlead::sql {

// Compiled statements by their text while nobody uses them. `S` has key(), its text.
template <typename S>
class StatementCache {
 public:
  // Null when there is none to take.
  std::unique_ptr<S> Take(std::string_view sql) {
    const auto found = kept_.find(base::AbslView(sql));
    if (found == kept_.end() || found->second.empty()) return nullptr;
    std::unique_ptr<S> statement = std::move(found->second.back());
    found->second.pop_back();
    return statement;
  }
  // What does not fit is given back.
  std::unique_ptr<S> Keep(std::unique_ptr<S> statement) {
    if (kept_.size() >= kMostTexts && !kept_.contains(statement->key())) return statement;
    kept_[statement->key()].push_back(std::move(statement));
    return nullptr;
  }
  void Clear() { kept_.clear(); }

 private:
  static constexpr size_t kMostTexts = 256;
  absl::flat_hash_map<std::string, std::vector<std::unique_ptr<S>>> kept_;
};

}  // namespace fairlead::sql
