#include "endpoint/peers.h"

#include <utility>

#include "lib/log/log.h"

namespace fairlead::endpoint {

void Peers::OnFree(std::vector<base::U128> accounts) {
  options_.hub_loop->Post(
      [hub = options_.hub, accounts = std::move(accounts)] { hub->OnFree(accounts); });
}

void Peers::OnDoubt() {
  options_.hub_loop->Post([hub = options_.hub] { hub->CheckGrants(); });
  OnRegistry();  // what could not be read while the database was away
}

void Peers::OnForgotten() {
  options_.hub_loop->Post([hub = options_.hub] { hub->AskAgain(); });
}

void Peers::OnRegistry() {
  const absl::Status ignored = options_.writer->Do([this](store::Store&) { ReadRegistry(); });
  (void)ignored;
}

// What fails is read with the next change, or once the database is back (OnDoubt).
void Peers::ReadRegistry() {
  const auto version = options_.registry->Version();
  if (!version.ok() || *version == version_) return;
  const auto changes = options_.registry->ChangedSince(version_);
  if (!changes.ok()) return log::Warn("accounts cannot be read", {{"error", changes.status()}});
  version_ = *version;
  for (const registry::Change& change : *changes) {
    options_.hub_loop->Post([hub = options_.hub, change] {
      if (change.deleted) return hub->RemoveAccount(change.account.uid);
      hub->PutAccount(change.account);
    });
    options_.on_account(change.account.name);
  }
}

}  // namespace fairlead::endpoint
