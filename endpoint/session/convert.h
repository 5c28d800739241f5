#pragma once

#include "absl/status/statusor.h"
#include "api/fairlead/agent/v1/agent.pb.h"
#include "endpoint/registry/account_spec.h"
#include "endpoint/store/types.h"
#include "lib/json/object_view.h"

namespace fairlead::endpoint {

// A decoded payload (wire::DecodePayload) as the store takes it. What the agent says is checked
// once more: each body's hash is computed again, and a body that still holds what the rules cut (a
// Secret's values first of all) is refused. Such rows are left out and named in `refused`; the rest
// of the batch goes on. `batch` comes with shard, epoch, term and seq set.
void ConvertPayload(const agent::v1::Payload& payload, bool keep_secret_data,
                    json::ObjectReader* reader, store::Batch* batch,
                    std::vector<store::Refused>* refused);

// What the agent may see: access and scope of the account, intersected.
agent::v1::Scope ScopeOf(const registry::AccountSpec& spec);

}  // namespace fairlead::endpoint
