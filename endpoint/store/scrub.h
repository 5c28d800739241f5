#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "endpoint/store/types.h"

namespace fairlead::sql {
class Connection;
}

// Rows that contradict themselves: a body whose hash is another, cannot be read, or is of another
// application, or a key that is not the name's. Lists are compared with the stored hashes, so that
// nothing else would ever find a body that was changed by hand or by a bad disk.
namespace fairlead::endpoint::store {

struct ScrubRequest {
  ShardKey shard;
  std::string group;
  std::string resource;
  std::string watch;                      // "" = every namespace
  ObjectName after;                       // the page begins behind it
  size_t most_bytes = size_t{512} << 10;  // of stored bodies; one row always goes
};

struct DamagedRow {
  int64_t id = 0;
  uint64_t seq = 0;  // a row that was written since is another row
  U128 key;          // what the name's is
};

struct ScrubPage {
  std::vector<DamagedRow> damaged;
  uint64_t rows = 0;
  ObjectName last;
  bool more = false;
};

// On a connection of the caller's, outside a transaction; each page sees a state of its own.
absl::StatusOr<ScrubPage> ScrubRows(sql::Connection& connection, const ScrubRequest& request);

// Takes the hash from the rows (it is all zeros then), so that the next list finds them different
// and their bodies are read again. How many it were. Durable.
absl::StatusOr<int64_t> MarkDamaged(sql::Connection& connection,
                                    const std::vector<DamagedRow>& rows);

}  // namespace fairlead::endpoint::store
