#include "lib/base/suggest.h"

#include <algorithm>
#include <cstddef>

namespace fairlead::base {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replace, above + 1, row[j - 1] + 1});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Nearest(std::string_view given, const std::vector<std::string>& valid) {
  constexpr size_t kLongest = 256;  // names are short; keeps hostile input cheap
  given = given.substr(0, kLongest);
  std::string best;
  size_t best_distance = ~size_t{0};
  for (const std::string& candidate : valid) {
    const size_t distance = EditDistance(given, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace fairlead::base
