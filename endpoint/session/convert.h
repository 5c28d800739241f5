#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/registry/account_spec.h"
#include "endpoint/store/types.h"
#include "lib/base/hash.h"
#include "lib/json/object_view.h"

namespace fairlead::endpoint {

// 16 bytes; zero when there are not as many.
inline base::U128 Number(const std::string& bytes) {
  base::U128 value;
  base::FromBytes(bytes, &value);
  return value;
}

// The kinds of a grant's snapshots under way: pages do not name theirs, and their bodies must be
// judged by it, also in a later batch than Begin's. Lives as long as the grant; bounded.
class SnapshotKinds {
 public:
  void Begin(const base::U128& snapshot, const store::Kind& kind);
  void End(const base::U128& snapshot) { kinds_.erase(snapshot); }
  // Null for a snapshot that was not begun, or beyond the bound.
  [[nodiscard]] const store::Kind* Find(const base::U128& snapshot) const;

 private:
  static constexpr size_t kMost = 1024;
  std::map<base::U128, store::Kind> kinds_;
};

// A decoded payload (wire::DecodePayload) as the store takes it. What the agent says is checked
// once more: each body's hash is computed again, and a body that still holds what the rules cut (a
// Secret's values first of all) is refused. Such rows are left out and named in `refused`; the rest
// of the batch goes on, and an item of a page still says that the object exists. A page of a
// snapshot that `snapshots` does not know is judged as one of Secrets. `batch` comes with shard,
// epoch, term and seq set.
void ConvertPayload(const agent::v1::Payload& payload, bool keep_secret_data,
                    json::ObjectReader* reader, SnapshotKinds* snapshots, store::Batch* batch,
                    std::vector<store::Refused>* refused);

// What the agent may see: access and scope of the account, intersected.
agent::v1::Scope ScopeOf(const registry::AccountSpec& spec);

// Where a watch left off, as an agent is told; all but how long ago it was proven.
void FillPosition(const store::Position& from, agent::v1::Position* to);

}  // namespace fairlead::endpoint
