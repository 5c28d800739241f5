#include "lib/base/resource_version.h"

namespace fairlead::base {
namespace {

bool Decimal(std::string_view v) {
  if (v.empty()) return false;
  for (char c : v) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

std::string_view WithoutLeadingZeros(std::string_view v) {
  while (v.size() > 1 && v.front() == '0') v.remove_prefix(1);
  return v;
}

}  // namespace

std::optional<int> CompareResourceVersions(std::string_view a, std::string_view b) {
  if (!Decimal(a) || !Decimal(b)) return std::nullopt;
  a = WithoutLeadingZeros(a);
  b = WithoutLeadingZeros(b);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b) < 0 ? -1 : (a == b ? 0 : 1);
}

}  // namespace fairlead::base
