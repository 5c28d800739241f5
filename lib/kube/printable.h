#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fairlead::kube {

// `text` made safe to print: control characters (C0, DEL, C1 in UTF-8, so no terminal escape
// survives), and bytes that are not UTF-8 become '?'; line breaks and tabs become one space. Cut to
// `max_bytes` with "..." at the end, never inside a character.
std::string Printable(std::string_view text, size_t max_bytes = 512);

}  // namespace fairlead::kube
