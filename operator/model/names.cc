#include "operator/model/names.h"

#include <algorithm>
#include <cctype>

#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace fairlead::op {

namespace {
// Lengths keep ("a", "bc") and ("ab", "c") apart.
std::string ShortHash(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += base::StrCat(part.size(), ":", part, ";");
  return base::Sha256Hex(text).substr(0, 12);
}
}  // namespace

std::string Installation::Hash() const { return ShortHash({hub_id, deployment_uid, account_uid}); }

std::string Installation::Name() const { return base::StrCat("fairlead-agent-", Hash()); }

std::string Installation::Owner() const {
  return base::StrCat(hub_id, "/", deployment_uid, "/", account_uid);
}

std::string AgentIdentity(const std::string& hub_id, const std::string& account_name,
                          const std::string& account_uid) {
  std::string readable = account_name.substr(0, 40);
  std::transform(readable.begin(), readable.end(), readable.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return base::StrCat(readable, "-", ShortHash({hub_id, account_name, account_uid}));
}

}  // namespace fairlead::op
