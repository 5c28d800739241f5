#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "unit/model/world.h"

namespace fairlead::model {

struct Violation {
  std::string what;
  std::vector<Step> steps;
};

// Each step in a line of its own.
std::string Describe(const Violation& violation);

struct SearchResult {
  uint64_t states = 0;
  uint64_t transitions = 0;
  uint64_t rests = 0;  // states in which nothing goes on by itself any more
  size_t depth = 0;    // of the longest run
  double seconds = 0;
  bool whole = false;  // nothing was left out
  std::optional<Violation> violation;
};

// Every order of everything that can happen in a world of these bounds, each state once; the first
// violation ends it. States are told apart by a hash of 128 bits of what World::Print() says.
// `budget`: gives up after that long.
SearchResult Search(const Bounds& bounds, base::Duration budget);

// One order, by chance, up to a state in which nothing goes on by itself. Adds what replicas do to
// the database to `works`, if there is one.
struct Walk {
  size_t steps = 0;
  std::optional<Violation> violation;
};
Walk WalkOnce(const Bounds& bounds, uint64_t seed, std::vector<Endpoint::Work>* works);

// The same violation with as few steps as leaving out single ones gives.
Violation Shortened(const Bounds& bounds, const Violation& violation);

}  // namespace fairlead::model
