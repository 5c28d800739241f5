#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "lib/base/hash.h"

namespace fairlead::agent {

// Remembers what was sent last of recent objects, so that an event that changed nothing of the
// content is dropped. A fixed table; who is pushed out is sent once more than needed.
//
// Guarantees: Same() is true only when the last content given for this object under this salt was
//   this one. (A place holds the last content of whichever object was there last. Contents hold
//   namespace, name and uid, and a salt is random: equal contents are of one object.)
// Assumes: contents are hashes that cannot be forged; an owner takes a new salt whenever what it
//   sent may be lost. Memory: `bytes`, resident as it is used. One thread.
class RecentHashes {
 public:
  // `bytes` is rounded down to a power of two.
  explicit RecentHashes(size_t bytes);

  // Remembers `content`; true when it was remembered already.
  [[nodiscard]] bool Same(const base::U128& salt, std::string_view name_space,
                          std::string_view name, const base::U128& content);
  // The object is gone, or what was sent was not taken.
  void Forget(const base::U128& salt, std::string_view name_space, std::string_view name);

 private:
  struct Free {
    void operator()(base::U128* table) const { std::free(table); }
  };
  base::U128& At(const base::U128& salt, std::string_view name_space, std::string_view name);

  size_t mask_;
  std::unique_ptr<base::U128[], Free> table_;
};

}  // namespace fairlead::agent
