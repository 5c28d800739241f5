#pragma once

// Every condition reason, in one place; docs/reference/conditions.md explains each and is compared
// with this file by a test.
namespace fairlead::op {

// ClusterAccount
inline constexpr char kReasonRegistered[] = "Registered";
inline constexpr char kReasonInvalidSpec[] = "InvalidSpec";
inline constexpr char kReasonEndpointUnknown[] = "EndpointUnknown";
inline constexpr char kReasonEndpointUnreachable[] = "EndpointUnreachable";
inline constexpr char kReasonAccountNameTaken[] = "AccountNameTaken";
inline constexpr char kReasonRegistrationRefused[] = "RegistrationRefused";
inline constexpr char kReasonCredentialNotFound[] = "CredentialNotFound";
inline constexpr char kReasonCredentialInvalid[] = "CredentialInvalid";
inline constexpr char kReasonClusterUnreachable[] = "ClusterUnreachable";
inline constexpr char kReasonClusterChanged[] = "ClusterChanged";
inline constexpr char kReasonNotSupported[] = "NotSupported";
inline constexpr char kReasonAgentConnected[] = "AgentConnected";
inline constexpr char kReasonNoAgent[] = "NoAgent";
inline constexpr char kReasonSynced[] = "Synced";
inline constexpr char kReasonSyncing[] = "Syncing";
inline constexpr char kReasonObjectsRefused[] = "ObjectsRefused";
inline constexpr char kReasonPaused[] = "Paused";
inline constexpr char kReasonNotPaused[] = "NotPaused";
inline constexpr char kReasonRemoving[] = "Removing";
inline constexpr char kReasonRemovalBlocked[] = "RemovalBlocked";

// AgentDeployment
inline constexpr char kReasonAllServed[] = "AllServed";
inline constexpr char kReasonRollingOut[] = "RollingOut";
inline constexpr char kReasonProgressDeadlineExceeded[] = "ProgressDeadlineExceeded";
inline constexpr char kReasonNoAccounts[] = "NoAccounts";
inline constexpr char kReasonInstallFailed[] = "InstallFailed";
inline constexpr char kReasonConnectionUnfit[] = "ConnectionUnfit";
inline constexpr char kReasonAccountTaken[] = "AccountTaken";
inline constexpr char kReasonProfileUnknown[] = "ProfileUnknown";

}  // namespace fairlead::op
