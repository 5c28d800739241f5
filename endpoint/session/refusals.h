#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "endpoint/store/types.h"

namespace fairlead::endpoint {

// The objects of one account that could not be stored, and why, until they are stored or gone.
// Everything else of their batches is stored: nobody would notice otherwise.
//
// Bounds: kMost objects; those beyond are counted no more. Pure; one thread.
// Tests: unit/endpoint/session/refusals_test.cc.
class Refusals {
 public:
  static constexpr size_t kMost = 1000;
  static constexpr size_t kNamed = 3;
  using Key = std::tuple<std::string, std::string, store::ObjectName>;  // group, resource

  // Those of `batch` that are here: what it brings of them may be stored.
  [[nodiscard]] std::vector<Key> In(const store::Batch& batch) const;
  // The batch is committed but for `refused`.
  void Committed(const std::vector<Key>& in, const std::vector<store::Refused>& refused);
  // Rows and cluster were compared and are equal.
  void Proven(const store::Kind& kind);

  [[nodiscard]] size_t count() const { return refused_.size(); }
  // The first of them, for people: "configmaps shop/a: the value is too long".
  [[nodiscard]] std::vector<std::string> Named() const;

 private:
  std::map<Key, std::string> refused_;  // why
};

}  // namespace fairlead::endpoint
