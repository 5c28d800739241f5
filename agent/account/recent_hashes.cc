#include "agent/account/recent_hashes.h"

#include <algorithm>
#include <bit>

#include "absl/hash/hash.h"
#include "lib/base/check.h"

namespace fairlead::agent {

// calloc: pages that nobody wrote are not resident.
RecentHashes::RecentHashes(size_t bytes)
    : mask_(std::bit_floor(std::max(bytes / sizeof(base::U128), size_t{1})) - 1),
      table_(static_cast<base::U128*>(std::calloc(mask_ + 1, sizeof(base::U128)))) {
  FAIRLEAD_CHECK(table_ != nullptr);
}

base::U128& RecentHashes::At(const base::U128& salt, std::string_view name_space,
                             std::string_view name) {
  return table_[absl::HashOf(salt.hi, salt.lo, name_space, name) & mask_];
}

bool RecentHashes::Same(const base::U128& salt, std::string_view name_space, std::string_view name,
                        const base::U128& content) {
  base::U128& place = At(salt, name_space, name);
  const base::U128 mark{content.hi ^ salt.hi, content.lo ^ salt.lo};
  if (place == mark) return true;
  place = mark;
  return false;
}

void RecentHashes::Forget(const base::U128& salt, std::string_view name_space,
                          std::string_view name) {
  At(salt, name_space, name) = {};
}

}  // namespace fairlead::agent
