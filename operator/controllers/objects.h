#pragma once

#include <json/value.h>

#include <string>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "operator/model/agent_objects.h"
#include "operator/runtime/cluster_client.h"

// What controllers do with API objects, over ClusterClient.
namespace fairlead::op {

kube::ResourceType TypeOf(const RenderedObject& object);
kube::ResourceType AccountType();
kube::ResourceType DeploymentType();
kube::ResourceType SecretType();

// NotFound when there is none; otherwise what Describe(error) says.
absl::StatusOr<Json::Value> GetObject(ClusterClient* cluster, const kube::ObjectName& name);

// The uid of its namespace kube-system, which tells clusters apart whatever their address.
absl::StatusOr<std::string> ClusterUid(ClusterClient* cluster);
// FailedPrecondition: another cluster answers than the one the account is pinned to. One that is
// not pinned yet passes.
absl::Status CheckPin(const std::string& cluster_uid, const api::ClusterAccount& account);
absl::Status CheckPin(ClusterClient* cluster, const api::ClusterAccount& account);

// kUpdated: we want something else than before. kCorrected: somebody changed what we had applied.
enum class Applied { kUnchanged, kCreated, kUpdated, kCorrected };
// Makes the cluster's object as `wanted` says, by server-side apply, and only if it is not already.
// AlreadyExists: an object of that name belongs to somebody else and was not touched.
absl::StatusOr<Applied> EnsureObject(ClusterClient* cluster, const RenderedObject& wanted);

// Deletes the object if it is ours, `owner` saying whose; true when it is gone.
absl::StatusOr<bool> RemoveObject(ClusterClient* cluster, const kube::ObjectName& name,
                                  const std::string& owner);

// Adds or removes our finalizer, with a test on what was read, so that nobody else's is lost.
absl::Status AddFinalizer(ClusterClient* hub, const kube::ResourceType& type,
                          const Json::Value& object);
absl::Status RemoveFinalizer(ClusterClient* hub, const kube::ResourceType& type,
                             const Json::Value& object);

// Applies `status` under `manager`: what is not in it and nobody else owns goes. Aborted: the
// object is not at `live`'s version any more; whoever wrote wakes us again.
absl::Status ApplyStatus(ClusterClient* hub, const kube::ResourceType& type,
                         const Json::Value& live, const Json::Value& status,
                         const std::string& manager);
// The same unless `live.status` already says all of it.
absl::Status WriteStatus(ClusterClient* hub, const kube::ResourceType& type,
                         const Json::Value& live, const Json::Value& status,
                         const std::string& manager);

std::string Rfc3339(int64_t wall_ms);
// Unix seconds; 0 when it cannot be read.
int64_t ParseRfc3339(const std::string& text);

}  // namespace fairlead::op
