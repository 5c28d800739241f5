#include "unit/model/explorer.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "absl/container/flat_hash_set.h"
#include "lib/base/backoff.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace fairlead::model {

namespace {

constexpr size_t kLongestRun = 400;

bool Rests(const std::vector<Step>& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const Step& step) { return step.outside(); });
}

// Depth first: on its way down it keeps the states of one run, and of all others a fingerprint.
class DepthFirst {
 public:
  DepthFirst(const Bounds& bounds, base::Duration budget)
      : until_(std::chrono::steady_clock::now() + budget) {
    Enter(World(bounds));
  }

  SearchResult Run() {
    const auto began = std::chrono::steady_clock::now();
    result_.whole = true;
    while (!run_.empty() && !result_.violation) {
      Place& place = run_.back();
      if (place.next == place.steps.size()) {
        run_.pop_back();
        if (!path_.empty()) path_.pop_back();
        continue;
      }
      if (++result_.transitions % 1024 == 0 && std::chrono::steady_clock::now() > until_) {
        result_.whole = false;
        break;
      }
      const Step step = place.steps[place.next++];
      World next(place.world);
      path_.push_back(step);
      if (std::string broken = next.Take(step); !broken.empty()) {
        result_.violation = {std::move(broken), path_};
      } else if (!Enter(std::move(next))) {
        path_.pop_back();
      }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    result_.seconds = took.count();
    return result_;
  }

 private:
  struct Place {
    World world;
    std::vector<Step> steps;
    size_t next = 0;
  };

  // False when the state is known.
  bool Enter(World world) {
    if (!known_.insert(world.Fingerprint()).second) return false;
    ++result_.states;
    std::vector<Step> steps = world.Steps();
    if (Rests(steps)) {
      ++result_.rests;
      if (std::string broken = world.AtRest(); !broken.empty()) {
        result_.violation = {std::move(broken), path_};
      }
    }
    run_.push_back({std::move(world), std::move(steps)});
    result_.depth = std::max(result_.depth, run_.size());
    if (run_.size() > kLongestRun) result_.violation = {"a run without an end", path_};
    return true;
  }

  const std::chrono::steady_clock::time_point until_;
  SearchResult result_;
  absl::flat_hash_set<base::U128> known_;
  std::vector<Place> run_;
  std::vector<Step> path_;
};

// Takes the steps that are possible and then whatever goes on by itself, the first first.
std::optional<Violation> Replay(const Bounds& bounds, const std::vector<Step>& steps) {
  World world(bounds);
  Violation violation;
  const auto take = [&](const Step& step) {
    violation.steps.push_back(step);
    violation.what = world.Take(step);
    return violation.what.empty();
  };
  for (const Step& step : steps) {
    if (world.Possible(step) && !take(step)) return violation;
  }
  while (violation.steps.size() < kLongestRun) {
    const std::vector<Step> next = world.Steps();
    if (Rests(next)) {
      violation.what = world.AtRest();
      if (violation.what.empty()) return std::nullopt;
      return violation;
    }
    if (!take(next.front())) return violation;
  }
  violation.what = "a run without an end";
  return violation;
}

// "a@20 was ..." and "b@30 was ..." are the same thing gone wrong.
std::string KindOf(const std::string& what) {
  std::string kind;
  for (const char c : what) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  }
  return kind;
}

}  // namespace

std::string Describe(const Violation& violation) {
  std::string text = base::StrCat(violation.what, " after ", violation.steps.size(), " steps:\n");
  for (const Step& step : violation.steps) text += base::StrCat("  ", Describe(step), "\n");
  return text;
}

SearchResult Search(const Bounds& bounds, base::Duration budget) {
  return DepthFirst(bounds, budget).Run();
}

Walk WalkOnce(const Bounds& bounds, uint64_t seed, std::vector<Endpoint::Work>* works) {
  uint64_t random = seed;
  Walk walk;
  World world(bounds, works);
  std::vector<Step> path;
  for (; walk.steps < kLongestRun; ++walk.steps) {
    std::vector<Step> steps = world.Steps();
    if (Rests(steps)) {
      // What is left of the bounds may happen, or the run may end here.
      std::string broken = world.AtRest();
      if (!broken.empty()) walk.violation = {std::move(broken), path};
      if (walk.violation || steps.empty() || base::NextRandom(&random) % 4 == 0) return walk;
    }
    const Step step = steps[base::NextRandom(&random) % steps.size()];
    path.push_back(step);
    if (std::string broken = world.Take(step); !broken.empty()) {
      walk.violation = {std::move(broken), path};
      return walk;
    }
  }
  walk.violation = {"a run without an end", path};
  return walk;
}

Violation Shortened(const Bounds& bounds, const Violation& violation) {
  Violation best = violation;
  for (bool shorter = true; shorter;) {
    shorter = false;
    for (size_t i = 0; i < best.steps.size(); ++i) {
      std::vector<Step> fewer = best.steps;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
      std::optional<Violation> found = Replay(bounds, fewer);
      if (!found || KindOf(found->what) != KindOf(best.what) ||
          found->steps.size() >= best.steps.size()) {
        continue;
      }
      best = *std::move(found);
      shorter = true;
      break;
    }
  }
  return best;
}

}  // namespace fairlead::model
