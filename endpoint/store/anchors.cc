#include "endpoint/store/anchors.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::endpoint::store {

std::string PackAnchors(const std::vector<Anchor>& anchors) {
  std::string packed;
  for (const Anchor& one : anchors) {
    packed += base::StrCat(one.object.name_space, "\t", one.object.name, "\t", one.uid, "\t",
                           one.resource_version, "\n");
  }
  return packed;
}

std::vector<Anchor> UnpackAnchors(std::string_view packed) {
  std::vector<Anchor> anchors;
  while (!packed.empty()) {
    std::string_view line = packed.substr(0, packed.find('\n'));
    packed.remove_prefix(std::min(packed.size(), line.size() + 1));
    std::array<std::string, 4> parts;
    size_t part = 0;
    for (const char c : line) {
      if (c == '\t') {
        if (++part == parts.size()) break;
      } else {
        parts[part] += c;
      }
    }
    if (part != parts.size() - 1) continue;
    anchors.push_back(
        {{std::move(parts[0]), std::move(parts[1])}, std::move(parts[2]), std::move(parts[3])});
  }
  return anchors;
}

}  // namespace fairlead::endpoint::store
